import type { Check, Edition } from '../src/model.ts';
import { HOST, manual, na, unknown } from './verdict.ts';

/** Universal Control Plane and Trusted Registry, now of Mirantis under other names, ran as containers of these images. */
const PRODUCT = /(?:^|\/)(?:docker|dockereng|mirantis)\/(?:ucp|dtr|msr)(?:[-:@]|$)/u;

interface Review {
  readonly id: string;
  readonly title: string;
  readonly rationale: string;
  readonly number: string;
  readonly task: string;
}

/** Recommendations for products that manage Docker Enterprise: their settings are behind their own login. */
const review = ({ id, title, rationale, number, task }: Review): Check<never> => ({
  id, title, rationale,
  evidence: 'inspect: Config.Image tells whether the product runs here; its settings are behind its own login',
  passes: 'Never by itself: a person looks at the settings of the product.',
  section: 'operations',
  severity: 'medium',
  level: 1,
  cis: { ['1.2.0' satisfies Edition]: number },
  evaluate: ({ containers }) => {
    if (containers.status !== 'present') return [unknown(HOST, containers.status === 'unreadable' ? containers.reason : 'The containers of the engine are not known')];
    if (containers.value.some(({ spec }) => spec.status === 'present' && PRODUCT.test(spec.value.image.reference))) return [manual(HOST, task)];
    const unread = containers.value.find(({ spec }) => spec.status !== 'present');
    return [unread === undefined ? na(HOST, 'Neither Universal Control Plane nor Trusted Registry runs here') : unknown(HOST, `The image of the container ${unread.name} is not known`)];
  },
});

/** Section 8 of edition 1.2.0, in its order. */
export const enterpriseReviews: readonly Check<never>[] = [
  review({ id: 'enterprise.directory', number: '8.1.1', title: 'Accounts of the control plane come from the directory of the organisation', rationale: 'Local accounts outlive the people they were made for.', task: 'See that the control plane takes its accounts from LDAP' }),
  review({ id: 'enterprise.certificates', number: '8.1.2', title: 'The control plane uses certificates of a trusted authority', rationale: 'People who are used to warnings of their browsers do not notice the one that matters.', task: 'See whose certificates the control plane uses' }),
  review({ id: 'enterprise.client-bundles', number: '8.1.3', title: 'Client bundles are given to people without administrative rights', rationale: 'Whoever holds the bundle of an administrator is one.', task: 'See who holds bundles of administrators' }),
  review({ id: 'enterprise.roles', number: '8.1.4', title: 'Access to the control plane is granted by role', rationale: 'Without roles everybody sees and changes what belongs to others.', task: 'Review roles and grants of the control plane' }),
  review({ id: 'enterprise.signed-images', number: '8.1.5', title: 'The control plane runs signed images only', rationale: 'An image that nobody signed may come from anybody.', task: 'See that the control plane asks for signatures' }),
  review({ id: 'enterprise.session-limit', number: '8.1.6', title: 'An account has at most three sessions at a time', rationale: 'Many sessions of one account may be many people, one of whom should not be there.', task: 'See how many sessions an account may have' }),
  review({ id: 'enterprise.session-lifetime', number: '8.1.7', title: 'Sessions end after fifteen minutes and are not prolonged', rationale: 'A session that was left open is used by whoever finds it.', task: 'See how long sessions last and whether they are prolonged' }),
  review({ id: 'enterprise.registry-scanning', number: '8.2.1', title: 'The trusted registry scans its images', rationale: 'Flaws are found where images are kept, before they run.', task: 'See that the registry scans images, and with a current database' }),
];
