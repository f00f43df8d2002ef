/**
 * The stage on which pictures are taken: in namespaces of its own, the checkout is /opt/glm-token, and
 * the names of the GLM service lead to this machine.
 */

import { ROOT } from '../support/environment.ts';
import { run } from '../support/program.ts';
import type { Scene } from './scenes.ts';

/**
 * Mounts what is seen in pictures, and a place for the socket of a screen, and runs scenes.ts there. What is mounted is collected in /mnt
 * first, since the checkout or node may be in the directory that is hidden then.
 */
const BOOT = `set -e
ip link set lo up
mount -t tmpfs tmpfs /mnt
mkdir -p /mnt/glm-token /mnt/node/bin /mnt/bin
touch /mnt/node/bin/node
mount --bind "$0" /mnt/glm-token
mount --bind "$1" /mnt/node/bin/node
ln -s ../glm-token/dist/cli.cjs /mnt/bin/glm-token
echo '127.0.0.1 localhost open.bigmodel.cn api.z.ai' >/mnt/hosts
mount --rbind /mnt /opt
mount --bind /opt/hosts /etc/hosts
mkdir -p -m 1777 /tmp/.X11-unix
mount -t tmpfs -o mode=1777 tmpfs /tmp/.X11-unix
cd /opt/glm-token
export PATH="/opt/bin:/opt/node/bin:$PATH"
shift
exec node --import tsx test/pictures/scenes.ts "$@"`;

const NAMESPACES = [
  ...['unshare', '--mount', '--net'],
  ...(process.getuid?.() === 0 ? [] : ['--user', '--map-root-user']),
];

/** Why there can be no stage here; `undefined` when there can. */
export async function unavailable(): Promise<string | undefined> {
  const { status, stderr } = await run([...NAMESPACES, 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt']);
  return status === 0 ? undefined : `no namespaces here: ${stderr.trim()}`;
}

/**
 * Plays every scene.
 *
 * @param emacs one that draws its frame, below the checkout; by default, no frame is drawn
 */
export async function playScenes(emacs?: string): Promise<Scene[]> {
  const boot = ['sh', '-c', BOOT, ROOT, process.execPath, ...(emacs ? [emacs] : [])];
  const { status, stdout, stderr } = await run([...NAMESPACES, ...boot]);
  if (status !== 0) throw new Error(stderr);
  return JSON.parse(stdout);
}
