/** Every subcommand, in the order of `--help`; loaded whole only where all of them are needed. */

import type { Command } from './command.ts';
import { daemon } from './daemon.ts';
import { deleteCommand } from './delete.ts';
import { doctor } from './doctor.ts';
import { exec } from './exec.ts';
import { inspect } from './inspect.ts';
import { list } from './list.ts';
import { print } from './print.ts';
import { setup } from './setup.ts';
import { store } from './store.ts';

export const COMMANDS: readonly Command[] = [
  setup,
  store,
  print,
  exec,
  list,
  deleteCommand,
  inspect,
  doctor,
  daemon,
];
