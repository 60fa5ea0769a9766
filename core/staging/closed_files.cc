#include "closed_files.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <chrono>
#include <map>
#include <thread>

#include "stagefs/posix_env.h"
#include "stagefs/text.h"
#include "stagefs/working_copy.h"

namespace stagefs {
namespace {

constexpr auto kLookAgainAfter = std::chrono::milliseconds(5);

// Copies, and the paths of the files.
using ClosedFiles = std::map<std::string, std::string>;

// Nobody stages what a dead process closed, until the next start.
bool HolderLives(const std::string& copy) {
  const auto lock = OpenFd(copy.substr(0, copy.rfind('/')) + ".lock", O_RDONLY);
  return lock && flock(lock->get(), LOCK_SH | LOCK_NB) != 0;
}

Status AddClosed(Repository& repository, std::optional<WorkspaceId> workspace, ClosedFiles* files) {
  STAGEFS_ASSIGN_OR_RETURN(const auto places, ListWorkingCopyPlaces(repository));
  for (const WorkingCopyPlace& place : places) {
    const bool is_meant = place.state == WorkingCopyState::kClosed &&
                          (workspace ? place.workspace == *workspace : HolderLives(place.file));
    if (is_meant) files->emplace(place.file, place.path);
    else files->erase(place.file);
  }
  return {};
}

}  // namespace

Status AwaitClosedFiles(Repository& repository, std::optional<WorkspaceId> workspace) {
  const auto deadline = std::chrono::steady_clock::now() + Turn::kWaitMax;
  ClosedFiles waiting;
  // Twice: what moves from one place to another meanwhile is in one of the lists.
  STAGEFS_RETURN_IF_ERROR(AddClosed(repository, workspace, &waiting));
  STAGEFS_RETURN_IF_ERROR(AddClosed(repository, workspace, &waiting));
  for (;;) {
    std::erase_if(waiting, [](const auto& file) { return access(file.first.c_str(), F_OK) != 0; });
    if (waiting.empty()) return {};
    if (std::chrono::steady_clock::now() >= deadline) {
      return Error(ErrorCode::kBusy, "'" + ToDisplayUtf8(waiting.begin()->second) +
                                         "' was closed and is not staged yet: its mount waits for a turn, or died");
    }
    std::this_thread::sleep_for(kLookAgainAfter);
    ClosedFiles now = waiting;
    STAGEFS_RETURN_IF_ERROR(AddClosed(repository, workspace, &now));
    std::erase_if(waiting, [&](const auto& file) { return !now.contains(file.first); });
  }
}

}  // namespace stagefs
