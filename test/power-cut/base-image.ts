import { chmod, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { busyboxRootfs } from '@snapstep/test-support';
import { execa } from 'execa';
import { filler } from './filler.ts';

const APPLETS = 'cat cmp diff echo env head ln ls mkdir mv rm seq sh yes'.split(' ');

/** Different base images, so that some are unpacked while others are long saved. */
export const IMAGES = ['first', 'second', 'third'] as const;
export type ImageName = (typeof IMAGES)[number];

/** What steps run: they find it in every image. */
const PROGRAMS: Readonly<Record<string, string>> = {
  // Files 1 to COUNT of a directory: LABEL and the file's number again and again, as many BYTES as the number says.
  fill: `#!/bin/sh -e
mkdir -p "$2"
for i in $(seq "$3"); do
  yes "$1 $i" | head -c $((i * $4)) > "$2/$i"
  echo "$2/$i has $((i * $4)) bytes of $1"
done
`,
  // Says which version a cache is, and makes another: files 1 to COUNT, and the version. Fails if it is not whole.
  'next-cache': `#!/bin/sh -e
was=empty
if [ "$(ls "$1")" ]; then
  was=$(cat "$1/version" || true)
  fill "cache $was" /whole "$2" "$3" > /dev/null
  echo "$was" > /whole/version
  diff -rq "$1" /whole || { echo "$1 is not whole"; exit 1; }
  rm -r /whole
fi
echo "$1 was $was"
rm -rf "$1"/*
fill "cache $4" "$1" "$2" "$3" > /dev/null
echo "$4" > "$1/version"
`,
};

/** Where the files of an image lie on this machine. */
export function rootfsOf(directory: string, image: ImageName): string {
  return join(directory, `rootfs-${image}`);
}

/** Makes the images. The last one is a root file system, the others are in an OCI layout, with two layers. */
export async function makeBaseImages(directory: string): Promise<void> {
  await execa('umoci', ['init', '--layout', join(directory, 'layout')]);
  for (const image of IMAGES) {
    const root = rootfsOf(directory, image);
    await mkdir(root);
    await busyboxRootfs(root, APPLETS);
    for (const [name, text] of Object.entries(PROGRAMS)) {
      await writeFile(join(root, 'bin', name), text);
      await chmod(join(root, 'bin', name), 0o755);
    }
    if (image !== 'third') await putIntoLayout(directory, image);
    await writeImageFiles(root, image);
  }
}

/** What `--image` says on the command line. */
export function references(directory: string): ReadonlyMap<string, string> {
  return new Map(
    IMAGES.map((image) => [
      image,
      image === 'third'
        ? `rootfs:${rootfsOf(directory, image)}`
        : `oci:${join(directory, 'layout')}:${image}`,
    ]),
  );
}

async function putIntoLayout(directory: string, image: ImageName): Promise<void> {
  const tag = `${join(directory, 'layout')}:${image}`;
  const second = join(directory, `layer-${image}`);
  await mkdir(second);
  await writeImageFiles(second, image);
  await execa('umoci', ['new', '--image', tag]);
  await execa('umoci', ['insert', '--image', tag, rootfsOf(directory, image), '/']);
  await execa('umoci', ['insert', '--image', tag, join(second, 'opt'), '/opt']);
  await rm(second, { recursive: true });
}

async function writeImageFiles(root: string, image: ImageName): Promise<void> {
  await mkdir(join(root, 'opt'));
  for (let i = 1; i <= 30; i += 1)
    await writeFile(join(root, 'opt', `${i}`), filler(`${image} ${i}`, i * 500));
}
