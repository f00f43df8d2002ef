/** The helper on a Unix socket: where it listens, whom it serves, and when nobody needs it any more. */

import { once } from 'node:events';
import { lstatSync, mkdirSync, type Stats, statSync, unlinkSync } from 'node:fs';
import { connect, type Server, type Socket } from 'node:net';
import { dirname } from 'node:path';
import { lock } from 'proper-lockfile';
import { errnoOf, GlmTokenError } from '../core/errors.ts';
import type { Helper } from './methods.ts';
import { type Served, serve } from './stdio.ts';

/** The directory is for its owner alone, and so is the socket: 0600. */
const DIRECTORY_MODE = 0o700;
const SOCKET_UMASK = 0o177;

/** The first descriptor that systemd passes: sd_listen_fds(3). */
const FIRST_PASSED_FD = 3;

/** After this long, the lock of a helper that was killed while it made its socket is free. */
const STALE_LOCK_MS = 5000;

/** How long a client may take to send a frame that it began, or to read; then it is cut off. */
const PATIENCE_MS = 10_000;

/** With more clients than this, one that never asked or else the idlest is cut off; it may connect again. */
const MAX_CLIENTS = 256;

export interface Place {
  readonly path: string;
  /** The user who must own the socket and its directory. */
  readonly uid: number | undefined;
}

/**
 * Has a server listen: on the socket that systemd passed, or at a path, in place of a helper that has
 * ended there. The server must know what to do with a client: one may connect at once.
 *
 * @returns what removes the socket, if it is ours to remove
 * @throws GlmTokenError `ERR_DAEMON` when that is not safe, or when a helper answers there already
 */
export async function listen(
  server: Server,
  { path, uid }: Place,
  env: NodeJS.ProcessEnv,
): Promise<() => void> {
  const directory = dirname(path);
  const isPassed = isSocketPassed(env);
  try {
    if (!isPassed) mkdirSync(directory, { recursive: true, mode: DIRECTORY_MODE });
    checkDirectory(directory, uid);
    if (!isPassed) return await listenAt(server, path);
    await listenOnPassed(server, { path, uid });
    return () => {};
  } catch (error) {
    if (error instanceof GlmTokenError) throw error;
    const errno = errnoOf(error);
    throw new GlmTokenError('socketRefused', { path, errno }, error);
  }
}

async function listenAt(server: Server, path: string): Promise<() => void> {
  const release = await lockStart(path);
  try {
    await clearStale(path);
    const umask = process.umask(SOCKET_UMASK);
    try {
      server.listen(path);
    } finally {
      process.umask(umask);
    }
    await once(server, 'listening');
  } finally {
    await release();
  }
  const { ino } = lstatSync(path);
  return () => {
    const isOurs = lstatSync(path, { throwIfNoEntry: false })?.ino === ino;
    if (isOurs) unlinkSync(path);
  };
}

/** Whether systemd started this process with a socket: sd_listen_fds(3). */
const isSocketPassed = ({ LISTEN_PID, LISTEN_FDS }: NodeJS.ProcessEnv): boolean =>
  LISTEN_PID === String(process.pid) && Number(LISTEN_FDS) >= 1;

async function listenOnPassed(server: Server, { path, uid }: Place): Promise<void> {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (!stats?.isSocket() || !isClosed(stats, uid)) throw new GlmTokenError('socketPassedInvalid');
  const listening = once(server, 'listening').catch(() => {});
  server.listen({ fd: FIRST_PASSED_FD });
  await listening;
  // A socket of the network has an address that is an object.
  if (!server.listening || (server.address() ?? '') !== '') {
    throw new GlmTokenError('socketPassedInvalid');
  }
}

/** Write permission is what lets others make files in a directory, and connect to a socket (Linux). */
const OTHERS_WRITE = 0o022;

const isClosed = ({ uid, mode }: Stats, owner: number | undefined): boolean =>
  uid === owner && (mode & OTHERS_WRITE) === 0;

function checkDirectory(path: string, uid: number | undefined): void {
  const stats = statSync(path);
  if (isClosed(stats, uid)) return;
  throw new GlmTokenError('socketDirectoryUnsafe', { path, isOthers: stats.uid !== uid });
}

/** So that of two that start at once, neither removes the other's socket. */
async function lockStart(path: string): Promise<() => Promise<void>> {
  try {
    return await lock(path, { realpath: false, stale: STALE_LOCK_MS });
  } catch (error) {
    throw errnoOf(error) === 'ELOCKED'
      ? new GlmTokenError('helperRunning', { path }, error)
      : error;
  }
}

/** Removes the socket of a helper that has ended. */
async function clearStale(path: string): Promise<void> {
  const stats = lstatSync(path, { throwIfNoEntry: false });
  if (!stats) return;
  if (!stats.isSocket()) throw new GlmTokenError('socketPathTaken', { path });
  if (await isAnswered(path)) throw new GlmTokenError('helperRunning', { path });
  unlinkSync(path);
}

async function isAnswered(path: string): Promise<boolean> {
  const socket = connect(path);
  try {
    await once(socket, 'connect');
    return true;
  } catch (error) {
    if (errnoOf(error) === 'ECONNREFUSED') return false;
    throw error;
  } finally {
    socket.destroy();
  }
}

export interface Clients {
  /** Resolves once there has been no request for the given time. */
  readonly idle: Promise<void>;
  /** Tells the clients that wait for an answer that the keychain waits for its user. */
  noteWaiting(program?: string): void;
}

/**
 * Serves whoever connects.
 *
 * @param exitAfterMs idle time after which the helper is not needed, in milliseconds; never by default
 */
export function serveClients(
  server: Server,
  helper: Helper,
  exitAfterMs: number | undefined,
): Clients {
  /** Those that asked last come last. */
  const clients = new Map<Socket, Served>();
  const haveAsked = new WeakSet<Socket>();
  const isBusy = () => [...clients.values()].some((client) => client.isBusy());
  let timer: NodeJS.Timeout | undefined;

  const welcome = (socket: Socket): void => {
    const onActivity = () => {
      timer?.refresh();
      haveAsked.add(socket);
      if (clients.delete(socket)) clients.set(socket, client);
    };
    const client = serve(socket, socket, helper, { patienceMs: PATIENCE_MS, onActivity });
    clients.set(socket, client);
    const end = () => {
      clients.delete(socket);
      socket.destroy();
    };
    socket.on('error', end);
    client.done.then(end, end);
    if (clients.size > MAX_CLIENTS) dropIdlest();
  };

  const dropIdlest = (): void => {
    const all = [...clients];
    const idle = all.filter(([, client]) => !client.isBusy());
    const silent = idle.find(([socket]) => !haveAsked.has(socket));
    const [idlest] = silent ?? idle[0] ?? all[0] ?? [];
    if (idlest) clients.delete(idlest);
    idlest?.destroy();
  };

  const idle = new Promise<void>((resolve) => {
    if (exitAfterMs === undefined) return;
    timer = setTimeout(() => (isBusy() ? timer?.refresh() : resolve()), exitAfterMs);
  });
  server.on('connection', welcome);
  return {
    idle,
    noteWaiting(program) {
      for (const client of clients.values()) if (client.isBusy()) client.noteWaiting(program);
    },
  };
}
