/*
 * Shell scripts of what two other stores do for one step on macOS, as far as it is done by commands. The order is that
 * of OBuilder's code (lib/zfs_store.ml, lib/sandbox.macos.ml, lib/rsync_store.ml) and of a maintainer's log of it.
 */

const HOME = '/Users/mac7001';
const BREW = '/opt/homebrew';
const CACHES = ['opam-archives', 'homebrew'];

const asUser = `su -l mac7001 -c true`;
/** Each user of a Mac is asked for; here it is made once. */
const makeUser = `id mac7001 >/dev/null 2>&1 || useradd -u 7001 -s /bin/sh -M -d ${HOME} mac7001`;

export function obuilderSetup(pool: string, trees: string): string {
  const top = `${pool}/obuilder`;
  const base = `${top}/result/base`;
  return `
${makeUser}
zfs create -o mountpoint=/obuilder ${top}
zfs create ${top}/result
zfs create ${top}/cache
zfs create ${top}/cache-tmp
zfs create ${base}
zfs create ${base}/home
zfs create ${base}/brew
cp -r ${trees}/home/. /obuilder/result/base/home
cp -r ${trees}/brew/. /obuilder/result/base/brew
mkdir -p ${CACHES.map((name) => `/obuilder/result/base/home/.${name}`).join(' ')}
chown -R 7001:20 /obuilder/result/base/home /obuilder/result/base/brew
zfs set mountpoint=none ${base}/home
zfs set mountpoint=none ${base}/brew
zfs snapshot -r ${base}@snap
${CACHES.map((name) => `zfs create ${top}/cache/c-${name}\nzfs snapshot -r ${top}/cache/c-${name}@snap`).join('\n')}
mkdir -p ${HOME} ${BREW}`;
}

export function obuilderStep(pool: string, round: number): string {
  const top = `${pool}/obuilder`;
  const base = `${top}/result/base`;
  const result = `${top}/result/${round}`;
  const temporary = (name: string): string => `${top}/cache-tmp/${round}-c-${name}`;
  const each = (lines: (name: string) => string): string => CACHES.map(lines).join('\n');
  return `
! zfs list -p -H ${result}@snap 2>/dev/null
zfs clone -o canmount=noauto -- ${base}@snap ${result}
zfs mount ${result}
zfs list -H -r -o name ${base}
zfs clone -o mountpoint=none -- ${base}/home@snap ${result}/home
zfs clone -o mountpoint=none -- ${base}/brew@snap ${result}/brew
! zfs list -p -H ${result}@snap 2>/dev/null
${each(
  (name) => `zfs list -p -H ${top}/cache/c-${name}
zfs list -p -H ${top}/cache/c-${name}@snap
zfs clone -- ${top}/cache/c-${name}@snap ${temporary(name)}`,
)}
zfs set mountpoint=${HOME} ${result}/home
zfs set mountpoint=${BREW} ${result}/brew
${each((name) => `zfs set mountpoint=${HOME}/.${name} ${temporary(name)}`)}
dscl . -list /Users
${asUser}
${each((name) => `zfs inherit mountpoint ${temporary(name)}`)}
zfs set mountpoint=none ${result}/home
zfs set mountpoint=none ${result}/brew
${each((name) => rotation({ main: `${top}/cache/c-${name}`, copy: temporary(name), round }))}
zfs snapshot -r -- ${result}@snap
zfs unmount ${top}/result
zfs mount ${top}/result`;
}

/** A step that is there already: it is looked for, and mounted. Linux mounts snapshots by itself. */
export function obuilderCached(pool: string, round: number): string {
  const result = `${pool}/obuilder/result/${round}`;
  return `
zfs list -p -H ${result}@snap
zfs get -pH mounted ${result}
zfs mount ${result} 2>/dev/null || true
zfs mount ${result}@snap 2>/dev/null || true
zfs unmount ${result}`;
}

export function rsyncSetup(pool: string, trees: string): string {
  return `
${makeUser}
zfs create -o mountpoint=/rsync ${pool}/rsync
mkdir -p /rsync/base ${HOME} ${BREW}
cp -r ${trees}/home ${trees}/brew /rsync/base
chown -R 7001:20 /rsync/base`;
}

export function rsyncStep(pool: string, round: number): string {
  const copy = 'rsync -aHq --delete';
  const work = `/rsync/tmp-${pool}`;
  return `
mkdir ${work}
rsync -aHq /rsync/base/ ${work}/
${copy} ${work}/home/ ${HOME}/
${copy} ${work}/brew/ ${BREW}/
dscl . -list /Users
${asUser}
${copy} ${HOME}/ ${work}/home/
${copy} ${BREW}/ ${work}/brew/
mv ${work} /rsync/${round}`;
}

function rotation(names: { readonly main: string; readonly copy: string; readonly round: number }): string {
  const { main, copy, round } = names;
  const old = `${copy}-old`;
  return `
zfs rename ${main} ${old}
zfs promote ${copy}
zfs destroy -f ${old}
zfs rename ${copy}@snap ${copy}@old-${round}
zfs destroy -d ${copy}@old-${round}
zfs snapshot -r ${copy}@snap
zfs rename ${copy} ${main}`;
}
