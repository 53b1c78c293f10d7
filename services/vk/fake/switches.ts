/** What is not confirmed about VK, or has changed over time. A test or a developer may change each. */
export const SWITCHES = {
  /** The HTTP status of errors. */
  error_status: 200,
  /** How the calls of a second are counted. */
  window: "fixed" as "fixed" | "sliding",
  window_ms: 1_000,
  calls: 3,
  group_calls: 20,
  wall_gets_a_day: 5_000,
  /** Whether an app's token gets counters. */
  service_counters: false,
  /** Whether an app's token may use `execute`; otherwise error 28. */
  service_execute: true,
  /** The result of `users.get` for an unknown id: nothing, or 113. */
  unknown_id: "empty" as "empty" | "error",
  /** The result of `users.get` with an app's token and no id: nothing, or 100. */
  nobody_named: "empty" as "empty" | "error",
  /** The result of `utils.resolveScreenName` for an unknown name: an empty list, or 104. */
  unknown_name: "empty" as "empty" | "error",
  /** The code of a request without a token: 5 since 2024, 8 before, 15 was observed too. */
  no_token: 5 as 5 | 8 | 15,
  /** The message about a missing `v`: that of 2018 or of 2020. */
  no_version_text: 2020 as 2018 | 2020,
  /** The code of a script with too many calls. */
  too_many_calls: 13,
  /** Whether 100 names the parameter. */
  names_parameter: true,
  /** Whether errors echo the token, as in 2013. */
  echo_token: false,
  /** The position of `method` and `oauth` among the echoed parameters. */
  echo_order: "last" as "first" | "last",
  /** Whether deleted and banned users have the flags of closed profiles. */
  gone_flags: false,
};
export type Switches = typeof SWITCHES;
