#include "stagefs/work_progress.h"

namespace stagefs {
namespace {

thread_local WorkProgress* watched = nullptr;

}  // namespace

Watching::Watching(WorkProgress* progress) : before_(watched) { watched = progress; }
Watching::~Watching() { watched = before_; }

void ExpectSteps(int64_t steps) {
  if (watched != nullptr) watched->expected += steps;
}

void NoteSteps(int64_t steps) {
  if (watched != nullptr) watched->done += steps;
}

}  // namespace stagefs
