// The repositories of a root that are open.
#include <sys/stat.h>
#include <unistd.h>

#include <condition_variable>
#include <map>
#include <mutex>
#include <set>

#include "stagefs/repositories.h"
#include "stagefs/workspaces.h"

namespace stagefs {
namespace {

constexpr auto kDeleteWait = std::chrono::seconds(5);

// Which file an index is: a repository that was deleted and made again is another one.
using FileId = std::pair<dev_t, ino_t>;

std::optional<FileId> IndexFileOf(const std::string& root, const RepositoryName& name) {
  struct stat file {};
  const std::string folder = root + '/' + name.ToString();
  if (stat((folder + "/stagefs.db").c_str(), &file) != 0 && stat((folder + "/places.json").c_str(), &file) != 0) {
    return std::nullopt;
  }
  return FileId(file.st_dev, file.st_ino);
}

}  // namespace

struct Root::State {
  struct Opened {
    std::shared_ptr<Repository> repository;
    FileId file;
  };
  std::mutex mutex;
  std::condition_variable closed;
  std::map<std::string, int> handles;  // Repositories that are open, also when nobody gets them any more.
  std::set<std::string> deleting;
  std::map<std::string, Opened> open;
};

Root::Root(std::string folder, RepositoryPlaces places)
    : folder_(std::move(folder)), places_(std::move(places)), state_(std::make_unique<State>()) {}
Root::~Root() = default;

Result<std::shared_ptr<Repository>> Root::Open(const RepositoryName& name) {
  std::shared_ptr<Repository> gone;  // Closed once the lock is not held any more.
  const std::lock_guard lock(state_->mutex);
  const std::string key = name.ToString();
  if (state_->deleting.contains(key)) {
    return Error(ErrorCode::kNotFound, "Repository '" + key + "' not found");
  }
  std::optional<FileId> file = IndexFileOf(folder_, name);
  if (const auto known = state_->open.find(key); known != state_->open.end()) {
    const auto& repository = known->second.repository;
    // What could only be read when it was opened may have become writable.
    const bool same = repository->CheckWritable() || access(repository->folder().c_str(), W_OK) != 0;
    if (known->second.file == file && same) return repository;
    gone = std::move(known->second.repository);
    state_->open.erase(known);
  }
  STAGEFS_ASSIGN_OR_RETURN(auto opened, OpenRepository(folder_, name, file ? RepositoryPlaces() : places_));
  if (!file) file = IndexFileOf(folder_, name);  // Made elsewhere, and known here only now.
  ++state_->handles[key];
  std::shared_ptr<Repository> repository(opened.release(), [state = state_.get(), key](Repository* closing) {
    delete closing;
    const std::lock_guard closed(state->mutex);
    --state->handles[key];
    state->closed.notify_all();
  });
  if (file) state_->open[key] = {repository, *file};
  return repository;
}

std::vector<std::shared_ptr<Repository>> Root::Opened() {
  const std::lock_guard lock(state_->mutex);
  std::vector<std::shared_ptr<Repository>> opened;
  for (const auto& [name, open] : state_->open) opened.push_back(open.repository);
  return opened;
}

Result<std::shared_ptr<Repository>> Root::Create(const RepositoryName& name) {
  STAGEFS_RETURN_IF_ERROR(CreateRepository(folder_, name, places_));
  return Open(name);
}

Status Root::Delete(const RepositoryName& name) {
  const std::string key = name.ToString();
  {
    STAGEFS_ASSIGN_OR_RETURN(const auto repository, Open(name));
    STAGEFS_ASSIGN_OR_RETURN(const auto mounts, Workspaces(*repository).LiveMounts());
    if (!mounts.empty()) {
      return Error(ErrorCode::kBusy, "repository " + key + " is mounted: unmount it first");
    }
  }
  std::shared_ptr<Repository> ours;
  std::unique_lock lock(state_->mutex);
  if (!state_->deleting.insert(key).second)
    return Error(ErrorCode::kBusy, "repository " + key + " is being deleted");
  if (const auto known = state_->open.find(key); known != state_->open.end()) {
    ours = std::move(known->second.repository);
    state_->open.erase(known);
  }
  lock.unlock();
  ours.reset();
  lock.lock();
  const bool free = state_->closed.wait_for(lock, kDeleteWait, [&] { return state_->handles[key] == 0; });
  lock.unlock();
  const Status deleted =
      free ? DeleteRepository(folder_, name)
           : Status(Error(ErrorCode::kBusy, "repository " + key + " is in use: try again in a moment"));
  lock.lock();
  state_->deleting.erase(key);
  return deleted;
}

}  // namespace stagefs
