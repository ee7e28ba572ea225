import { type Check, type Finding, notApplicable } from '../../check.ts';
import type { Scene } from '../../scene.ts';

/** A check of what only macOS has. */
export function onMac(name: string, look: (scene: Scene) => Promise<Finding>): Check {
  return {
    name,
    look: async (scene) =>
      scene.platform === 'darwin' ? look(scene) : notApplicable(`this is ${scene.platform}`),
  };
}
