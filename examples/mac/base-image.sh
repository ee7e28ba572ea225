#!/usr/bin/env bash
# What fills a base image for OCaml on a Mac: Homebrew, opam, a compiler, and a clone of opam-repository.
#
#   snapstep base-image create macos-ocaml-5.4 --script base-image.sh --env OCAML=5.4.0
#
# It runs as the user of the image, in its empty home directory, with an empty Homebrew prefix mounted in place. What
# it prints is shown as it comes. If any command fails, the image is not made, and the one of that name stays.
set -euo pipefail

: "${OCAML:=5.4.0}"
# Apple silicon has /opt/homebrew, Intel /usr/local: one of them is the volume "brew".
case "$(uname -m)" in
  arm64) prefix=/opt/homebrew ;;
  *) prefix=/usr/local ;;
esac

# What every later step of a build has in its environment comes from this file, which is sourced before each.
cat > "$HOME/.snapstep_profile.sh" <<PROFILE
export HOMEBREW_NO_AUTO_UPDATE=1 HOMEBREW_NO_ANALYTICS=1 HOMEBREW_NO_INSTALL_CLEANUP=1
export OPAMYES=1 OPAMCOLOR=never OPAMERRLOGLEN=0
export PATH="$prefix/bin:$prefix/sbin:/usr/bin:/bin:/usr/sbin:/sbin"
PROFILE
. "$HOME/.snapstep_profile.sh"

echo "== no log of file events on either volume"
for volume in "$HOME" "$prefix"; do
  # fseventsd may have been faster: then the directory is root's, and this volume keeps its log.
  if ! mkdir -p "$volume/.fseventsd" || ! touch "$volume/.fseventsd/no_log"; then echo "$volume is logged"; fi
done

echo "== Homebrew in $prefix"
# Not its installer, which wants sudo: the prefix is ours already, and empty.
git clone --quiet --depth=1 https://github.com/Homebrew/brew "$prefix/Homebrew.new"
if [ "$prefix" = /usr/local ]; then
  mv "$prefix/Homebrew.new" "$prefix/Homebrew"
  mkdir -p "$prefix/bin"
  ln -s ../Homebrew/bin/brew "$prefix/bin/brew"
else
  cp -R "$prefix/Homebrew.new/." "$prefix"
  rm -rf "$prefix/Homebrew.new"
fi
brew --version

echo "== tools that Apple's own differ from"
# Apple's patch fails on read-only files with a message about something else.
brew install gpatch pkg-config opam

echo "== opam, with OCaml $OCAML"
git clone --quiet --depth=1 https://github.com/ocaml/opam-repository "$HOME/opam-repository"
opam init --bare --no-setup --disable-sandboxing default "$HOME/opam-repository"
opam switch create default "ocaml-base-compiler.$OCAML"
opam exec -- ocamlopt -version

# What was only needed for making the image takes space in every step after it.
brew cleanup --prune=all
opam clean --all-switches --download-cache --logs
