/** What we know of GLM's two services. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEFAULT_HOST, parseHost } from '../../src/core/account.ts';
import { PLAN_PATHS, SERVICES } from '../../src/service/services.ts';

test('there are two services, and the default host is that of the first', () => {
  assert.deepEqual(
    SERVICES.map(({ name, host }) => [name, host]),
    [
      ['china', 'open.bigmodel.cn'],
      ['international', 'api.z.ai'],
    ],
  );
  assert.equal(SERVICES[0]?.host, DEFAULT_HOST);
});

test('each service has a host in its normal form and an https page for keys', () => {
  for (const { host, keysUrl } of SERVICES) {
    assert.equal(parseHost(host), host);
    assert.equal(new URL(keysUrl).protocol, 'https:');
  }
});

test('the paths of the two plans differ', () => {
  assert.deepEqual(PLAN_PATHS, {
    'pay-as-you-go': '/api/paas/v4',
    coding: '/api/coding/paas/v4',
  });
});
