/** Every promise, and the trials that it is put to. */

import { keepsWorking } from './keeps-working.ts';
import { keyIsNowhere } from './key-is-nowhere.ts';
import { nobodyGetsIn } from './nobody-gets-in.ts';
import { nothingBreaksIt } from './nothing-breaks-it.ts';
import { nothingIsLost } from './nothing-is-lost.ts';
import type { Trials } from './row.ts';

export const PROMISES: Readonly<Record<string, Trials>> = {
  'The key is nowhere': keyIsNowhere,
  'Nothing is lost': nothingIsLost,
  'Nothing breaks it': nothingBreaksIt,
  'Nobody gets in': nobodyGetsIn,
  'It keeps working': keepsWorking,
};
