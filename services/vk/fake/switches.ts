/** What is not confirmed about VK, or was otherwise at another time: a test, or a developer, may turn each the other way. */
export const SWITCHES = {
  /** The HTTP status of errors. */
  error_status: 200,
  /** How calls in a second are counted. */
  window: "fixed" as "fixed" | "sliding",
  window_ms: 1_000,
  calls: 3,
  group_calls: 20,
  wall_gets_a_day: 5_000,
  /** Whether an app's token gets counters. */
  service_counters: false,
  /** Whether an app's token may `execute`; where not, it is 28. */
  service_execute: true,
  /** What `users.get` says of an unknown number: nothing, or 113. */
  unknown_id: "empty" as "empty" | "error",
  /** What `users.get` says when an app's token names nobody: nothing, or 100. */
  nobody_named: "empty" as "empty" | "error",
  /** What `utils.resolveScreenName` says of an unknown name: an empty list, or 104. */
  unknown_name: "empty" as "empty" | "error",
  /** The code of a request without a token: 5 since 2024, 8 before, 15 seen as well. */
  no_token: 5 as 5 | 8 | 15,
  /** The words about a missing `v`: those of 2018 or of 2020. */
  no_version_text: 2020 as 2018 | 2020,
  /** The code of a script with too many calls. */
  too_many_calls: 13,
  /** Whether 100 names the parameter. */
  names_parameter: true,
  /** Whether errors echo the token, as in 2013. */
  echo_token: false,
  /** Where `method` and `oauth` stand among the echoed parameters. */
  echo_order: "last" as "first" | "last",
  /** Whether deleted and banned users say that they are closed or not. */
  gone_flags: false,
};
export type Switches = typeof SWITCHES;
