/** This machine in the words of OCI, such as `linux/arm64`: what an image that lives in a store is for. */
export function hostPlatform(): string {
  const architecture = { x64: 'amd64', ia32: '386' }[process.arch as string] ?? process.arch;
  return `${process.platform}/${architecture}`;
}
