/**
 * The stand-in for the GLM service as a program, for a network namespace of its own: keys as JSON on
 * standard input, its host on the first line of output, then each request as JSON. It ends with its
 * input's end, at the latest after five minutes.
 */

import { createInterface } from 'node:readline';
import { GlmServer } from './glm-server.ts';

setTimeout(() => process.exit(1), 300_000).unref();
const lines = createInterface(process.stdin);
lines.once('close', () => process.exit(0));
lines.once('line', async (keys) => {
  const glm = await GlmServer.start(JSON.parse(keys));
  console.log(glm.host);
  setInterval(() => {
    for (const seen of glm.seen.splice(0)) console.log(JSON.stringify(seen));
  }, 50);
});
