import { AppError, type ProblemMembers } from "../../lib/errors.ts";
import type { VkFailure } from "./errors.ts";

/** What VK's no means for whoever asked here. */
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
      return new AppError("not-found", "VK knows no such user");
    case "user-token-required":
    case "token-kind":
      return new AppError("vk-user-token-required");
    case "busy":
      return new AppError("rate-limited", "VK takes three calls a second of one token; too many wait", {
        retryAfter: 2,
      });
    case "flood":
      return new AppError("rate-limited", "VK finds these calls too many alike", { retryAfter: 60 });
    case "quota":
      return new AppError("rate-limited", "VK takes no more of these calls today", { retryAfter: 1_800 });
    case "failing":
    case "too-fast":
    case "unreachable":
      return new AppError("vk-unavailable", undefined, { retryAfter: 10 });
    default:
      return new AppError("vk-refused", `VK refuses the request with code ${failure.code}`);
  }
}

const CAPTCHA_DETAIL =
  "Open redirect_uri, or read the picture at captcha_img; send what comes of it to /vk/captcha; ask again";
const VALIDATION_DETAIL = "Open redirect_uri, follow what VK asks there, then ask again";

function captchaMembers({ captcha }: VkFailure): ProblemMembers {
  const { sid, img, redirect_uri, remixstlid } = captcha ?? {};
  return {
    ...(redirect_uri !== undefined && { redirect_uri }),
    ...(sid !== undefined && { captcha_sid: sid }),
    ...(img !== undefined && { captcha_img: img }),
    ...(remixstlid !== undefined && { remixstlid }),
  };
}
