#include "mount_registration.h"

namespace stagefs {

void MountRegistration::SayThatItLives() {
  if (!repository_.index().IsShared()) return;
  const auto now = std::chrono::steady_clock::now();
  if (now - said_ < std::chrono::seconds(kMountBeatSeconds)) return;
  said_ = now;
  (void)Note();
}

}  // namespace stagefs
