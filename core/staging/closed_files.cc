#include "closed_files.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <chrono>
#include <map>

#include "stagefs/interruption.h"
#include "stagefs/posix_env.h"
#include "stagefs/text.h"
#include "stagefs/working_copy.h"

namespace stagefs {
namespace {

constexpr auto kLookAgainAfter = std::chrono::milliseconds(5);
constexpr auto kBriefly = std::chrono::milliseconds(500);

// Copies, and the paths of the files.
using ClosedFiles = std::map<std::string, std::string>;

std::string InstanceOf(const std::string& copy) { return copy.substr(0, copy.rfind('/')); }

bool HolderLives(const std::string& copy) {
  const auto lock = OpenFd(InstanceOf(copy) + ".lock", O_RDONLY);
  return lock && flock(lock->get(), LOCK_SH | LOCK_NB) != 0;
}

struct ClosedIn {
  std::optional<WorkspaceId> workspace;  // Without one: in all.
  bool also_unhashed = true;
  bool Means(const WorkingCopyPlace& place) const {
    return place.waits() && (!workspace || place.workspace == *workspace) && (also_unhashed || place.closed.content);
  }
};

// What a dead process closed is not among them: nobody stages it, until it is recovered. `left`: whether there is such.
Status AddClosed(Repository& repository, const ClosedIn& meant, ClosedFiles* files, bool* left) {
  STAGEFS_ASSIGN_OR_RETURN(const auto places, ListWorkingCopyPlaces(repository));
  for (const WorkingCopyPlace& place : places) {
    const bool is_meant = meant.Means(place);
    const bool lives = is_meant && HolderLives(place.file);
    if (lives) files->emplace(place.file, place.path);
    else files->erase(place.file);
    *left = *left || (is_meant && !lives);
  }
  return {};
}

Status AwaitStaged(Repository& repository, const ClosedIn& meant, ClosedFiles waiting,
                   std::chrono::steady_clock::time_point deadline) {
  bool left = false;
  for (;;) {
    std::erase_if(waiting, [](const auto& file) { return access(file.first.c_str(), F_OK) != 0; });
    if (waiting.empty()) return {};
    if (std::chrono::steady_clock::now() >= deadline) {
      return Error(ErrorCode::kBusy, "'" + ToDisplayUtf8(waiting.begin()->second) +
                                         "' was closed and is not staged yet: its mount waits for a turn, or died");
    }
    for (const auto& [copy, path] : waiting) (void)OpenFd(StageNowMark(InstanceOf(copy)), O_WRONLY | O_CREAT);
    STAGEFS_RETURN_IF_ERROR(CheckInterrupted());
    SleepFor(kLookAgainAfter);
    ClosedFiles now = waiting;
    STAGEFS_RETURN_IF_ERROR(AddClosed(repository, meant, &now, &left));
    std::erase_if(waiting, [&](const auto& file) { return !now.contains(file.first); });
  }
}

}  // namespace

Status AwaitClosedFiles(Repository& repository, std::optional<WorkspaceId> workspace) {
  const auto deadline = std::chrono::steady_clock::now() + Turn::kWaitMax;
  const ClosedIn meant{workspace};
  ClosedFiles waiting;
  bool left = false;
  // Twice: what moves from one place to another meanwhile is in one of the lists.
  STAGEFS_RETURN_IF_ERROR(AddClosed(repository, meant, &waiting, &left));
  STAGEFS_RETURN_IF_ERROR(AddClosed(repository, meant, &waiting, &left));
  if (left) repository.RecoverDead();
  return AwaitStaged(repository, meant, std::move(waiting), deadline);
}

void AwaitClosedBriefly(Repository& repository, WorkspaceId workspace) {
  const auto deadline = std::chrono::steady_clock::now() + kBriefly;
  const ClosedIn meant{workspace, /*also_unhashed=*/false};
  ClosedFiles waiting;
  bool left = false;
  if (!AddClosed(repository, meant, &waiting, &left)) return;
  (void)AwaitStaged(repository, meant, std::move(waiting), deadline);
}

}  // namespace stagefs
