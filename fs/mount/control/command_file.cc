#include "mount/control/command_file.h"

#include <algorithm>

#include "stagefs/recovered.h"

namespace stagefs {
namespace {

class CommandHandle : public FileHandle {
 public:
  CommandHandle(CommandFile& commands, OpenFiles& files, std::shared_ptr<Node> node)
      : FileHandle(files.repository(), std::move(node)), commands_(commands), files_(files) {}

  Result<ReadAnswer> Read(size_t, off_t) override { return ReadAnswer{}; }
  Result<size_t> Write(const char* data, size_t size_bytes, off_t) override {
    MountCounters::Add(files_.counters().bytes_written, static_cast<int64_t>(size_bytes));
    STAGEFS_RETURN_IF_ERROR(commands_.RunRequest({data, size_bytes}));
    return size_bytes;
  }

 private:
  CommandFile& commands_;
  OpenFiles& files_;
};

}  // namespace

Result<std::unique_ptr<FileHandle>> CommandFile::Open(const std::shared_ptr<Node>& node, int) {
  return std::make_unique<CommandHandle>(*this, env_.files, node);
}

Result<Attributes> CommandFile::SetAttributesOf(const std::shared_ptr<Node>& node, const SetAttributes&, FileHandle*) {
  return env_.files.AttributesOf(node);
}

// A path may have a newline in it: what ends in one and has another could mean two things.
Status CommandFile::RunRequest(std::string_view request) {
  const char end = request.find('\0') == std::string_view::npos ? '\n' : '\0';
  if (request.ends_with(end)) request.remove_suffix(1);
  if (request.find(end) != std::string_view::npos || request.find('\0') != std::string_view::npos) {
    return Error(ErrorCode::kInvalidArgument, "one request at a time; one with a newline in its path ends in NUL");
  }
  return request.empty() ? Status() : Run(std::string(request));
}

Status CommandFile::Run(const std::string& line) {
  if (line == "sync") return env_.repository.SyncAll();
  const size_t space = line.find(' ');
  const std::string verb = line.substr(0, space);
  if ((verb != "retry" && verb != "dismiss") || space == std::string::npos) {
    return Error(ErrorCode::kInvalidArgument, "unknown command: use 'retry PATH', 'dismiss PATH' or 'sync'");
  }
  const bool again = verb == "retry";
  const std::string path = line.substr(space + 1);
  STAGEFS_ASSIGN_OR_RETURN(const OpenFiles::Refused refused,
                           again ? env_.files.Retry(path) : env_.files.Dismiss(path));
  if (refused == OpenFiles::Refused::kSettled) return {};
  STAGEFS_ASSIGN_OR_RETURN(const WorkspaceInfo info, env_.workspace->Info());
  return again ? RetryRecovered(env_.repository, info, path) : DismissRecovered(env_.repository, info, path);
}

}  // namespace stagefs
