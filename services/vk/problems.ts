import { AppError, type ProblemMembers } from "../../lib/errors.ts";
import type { VkFailure } from "./errors.ts";

/** A VK error as a problem for the caller. */
export function problemOf(failure: VkFailure): AppError {
  switch (failure.kind) {
    case "token-dead":
      return new AppError("vk-token-invalid");
    case "captcha":
      return new AppError("vk-captcha-needed", CAPTCHA_DETAIL, { members: captchaMembers(failure) });
    case "validation": {
      const { redirect_uri } = failure;
      const members: ProblemMembers = redirect_uri === undefined ? {} : { redirect_uri };
      return new AppError("vk-validation-required", VALIDATION_DETAIL, { members });
    }
    case "not-found":
    case "user-gone":
      return new AppError("not-found", "VK has no such user");
    case "user-token-required":
    case "token-kind":
      return new AppError("vk-user-token-required");
    case "busy":
      return new AppError("rate-limited", "Too many requests wait for VK, which allows three a second for each token", {
        retryAfter: 2,
      });
    case "flood":
      return new AppError("rate-limited", "VK reports flood control: too many similar requests", { retryAfter: 60 });
    case "quota":
      return new AppError("rate-limited", "VK's daily limit for this request is reached", { retryAfter: 1_800 });
    case "failing":
    case "too-fast":
    case "unreachable":
      return new AppError("vk-unavailable", undefined, { retryAfter: 10 });
    default:
      return new AppError("vk-refused", `VK refused the request with error code ${failure.code}`);
  }
}

const CAPTCHA_DETAIL =
  "Open redirect_uri or solve captcha_img, send the result to /vk/captcha, then repeat the request";
const VALIDATION_DETAIL = "Open redirect_uri, follow the steps there, then repeat the request";

function captchaMembers({ captcha }: VkFailure): ProblemMembers {
  const { sid, img, redirect_uri, remixstlid } = captcha ?? {};
  return {
    ...(redirect_uri !== undefined && { redirect_uri }),
    ...(sid !== undefined && { captcha_sid: sid }),
    ...(img !== undefined && { captcha_img: img }),
    ...(remixstlid !== undefined && { remixstlid }),
  };
}
