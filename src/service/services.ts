/** GLM's two services, their plans, and where a person gets a key for each. */

import { DEFAULT_HOST, INTERNATIONAL_HOST } from '../core/account.ts';

export interface Service {
  readonly name: 'china' | 'international';
  readonly host: string;
  /** The page that shows a person's API keys. */
  readonly keysUrl: string;
}

/** https://docs.bigmodel.cn/cn/api/introduction and https://docs.z.ai/api-reference/introduction */
export const SERVICES: readonly Service[] = [
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
];

export const PLANS = ['pay-as-you-go', 'coding'] as const;

export type PlanName = (typeof PLANS)[number];

/** Path of the API by plan, the same on both services. */
export const PLAN_PATHS: Readonly<Record<PlanName, string>> = {
  'pay-as-you-go': '/api/paas/v4',
  coding: '/api/coding/paas/v4',
};
