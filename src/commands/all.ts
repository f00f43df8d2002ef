/** Every subcommand, by what people want to do; loaded whole only where all of them are needed. */

import type { Messages } from '../messages/en.ts';
import { completion } from './completion.ts';
import { daemon } from './daemon.ts';
import { deleteCommand } from './delete.ts';
import { doctor } from './doctor.ts';
import { exec } from './exec.ts';
import { inspect } from './inspect.ts';
import { list } from './list.ts';
import { move } from './move.ts';
import { passphrase } from './passphrase.ts';
import { print } from './print.ts';
import { setup } from './setup.ts';
import { store } from './store.ts';
import type { Subcommand } from './subcommand.ts';

/** In the order of `--help`, under the titles there. */
export const GROUPS: Readonly<Record<keyof Messages['help']['groups'], readonly Subcommand[]>> = {
  start: [setup],
  use: [print, exec],
  keys: [store, list, deleteCommand, move, passphrase],
  trouble: [doctor, inspect],
  programs: [daemon, completion],
};

export const COMMANDS: readonly Subcommand[] = Object.values(GROUPS).flat();
