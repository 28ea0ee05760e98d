/** Every type that stages share, split by the stage that makes it. Nothing here does I/O or imports anything outside model/. */
export * from './model/base.ts';
export * from './model/container.ts';
export * from './model/facts.ts';
export * from './model/gc.ts';
export * from './model/outcome.ts';
export * from './model/plan.ts';
export * from './model/policy.ts';
export * from './model/report.ts';
