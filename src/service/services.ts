/** GLM's two services, their plans, and where a person gets a key for each. */

import { DEFAULT_HOST, INTERNATIONAL_HOST } from '../core/account.ts';

/**
 * The services, and the page of each that shows a person's API keys:
 * https://docs.bigmodel.cn/cn/api/introduction and https://docs.z.ai/api-reference/introduction
 */
export const SERVICES = [
  {
    name: 'china',
    host: DEFAULT_HOST,
    keysUrl: 'https://bigmodel.cn/usercenter/proj-mgmt/apikeys',
  },
  {
    name: 'international',
    host: INTERNATIONAL_HOST,
    keysUrl: 'https://z.ai/manage-apikey/apikey-list',
  },
] as const;

export const PLANS = ['pay-as-you-go', 'coding'] as const;

export type PlanName = (typeof PLANS)[number];

/** Path of the API by plan, the same on both services. */
export const PLAN_PATHS: Readonly<Record<PlanName, string>> = {
  'pay-as-you-go': '/api/paas/v4',
  coding: '/api/coding/paas/v4',
};
