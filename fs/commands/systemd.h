// What systemd waits for with Type=notify.
#pragma once

namespace stagefs {

// `state` is "READY=1" or "STOPPING=1" (sd_notify(3)). Nothing happens where systemd did not start this process.
void TellSystemd(const char* state);

}  // namespace stagefs
