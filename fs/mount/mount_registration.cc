#include "mount_registration.h"

#include <utility>

namespace stagefs {
namespace {

constexpr auto kNoteWait = std::chrono::milliseconds(200);

}  // namespace

Status MountRegistration::Note() {
  const Status noted = NoteAgain();
  missed_ = !noted && noted.error().code() == ErrorCode::kBusy;
  return missed_ ? Status() : noted;
}

Status MountRegistration::NoteAgain() {
  if (!repository_.CheckWritable()) return {};
  const auto known = Workspaces(repository_).NoteMounted(mountpoint_, workspace_, writer_, kNoteWait);
  if (known && !*known) missed_ = true;
  return known.WithoutValue();
}

void MountRegistration::SayThatItLives() {
  if (!repository_.index().IsShared()) return;
  const auto now = std::chrono::steady_clock::now();
  if (now - said_ < std::chrono::seconds(kMountBeatSeconds)) return;
  said_ = now;
  (void)NoteAgain();
}

Result<bool> MountRegistration::TakeMissed(const std::vector<MountRow>& mounts) {
  if (!IsAmong(mounts)) {
    const Status noted = NoteAgain();
    missed_ = noted || noted.error().code() == ErrorCode::kBusy;
    STAGEFS_RETURN_IF_ERROR(noted);
  }
  return std::exchange(missed_, false);
}

}  // namespace stagefs
