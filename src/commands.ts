/** Every subcommand, by what people want to do; loaded whole only where all of them are needed. */

import type { AnyCommand } from './command.ts';
import { completion } from './commands/completion.ts';
import { daemon } from './commands/daemon.ts';
import { deleteCommand } from './commands/delete.ts';
import { doctor } from './commands/doctor.ts';
import { exec } from './commands/exec.ts';
import { inspect } from './commands/inspect.ts';
import { list } from './commands/list.ts';
import { move } from './commands/move.ts';
import { passphrase } from './commands/passphrase.ts';
import { print } from './commands/print.ts';
import { setup } from './commands/setup.ts';
import { store } from './commands/store.ts';
import type { Messages } from './messages/en.ts';

/** In the order of `--help`, under the titles there. */
export const GROUPS: Readonly<Record<keyof Messages['help']['groups'], readonly AnyCommand[]>> = {
  start: [setup],
  use: [print, exec],
  keys: [store, list, deleteCommand, move, passphrase],
  trouble: [doctor, inspect],
  programs: [daemon, completion],
};

export const COMMANDS: readonly AnyCommand[] = Object.values(GROUPS).flat();
