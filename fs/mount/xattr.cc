#include "xattr.h"

#include "stagefs/interruption.h"

namespace stagefs {
namespace {

constexpr std::string_view kPrefix = "user.stagefs.";
// What was closed is staged before it is told of, if its turn comes in time.
constexpr auto kTurnWait = std::chrono::milliseconds(500);

Error NoSuchAttribute() { return Error(ErrorCode::kNotFound, "no such attribute"); }

Result<std::string> HashOf(Repository& repository, VersionId version, bool sha256) {
  STAGEFS_ASSIGN_OR_RETURN(const VersionInfo info, repository.GetVersion(version));
  return sha256 ? ToHex(info.content.sha256) : ToHex(info.content.xxh3);
}

}  // namespace

Status CheckXattrName(const std::string& name) {
  // Of a kind that there is none of `ls -l` asks once, not for each name.
  if (!name.starts_with("user.")) return Error(ErrorCode::kUnsupported, "no labels, capabilities or ACLs");
  if (!name.starts_with(kPrefix)) return NoSuchAttribute();
  return {};
}

Result<std::string> GetXattrOf(OpenFiles& files, Nodes& nodes, Workspace* workspace, const std::shared_ptr<Node>& node,
                               const std::string& name) {
  const std::string what = name.substr(kPrefix.size());
  Slot slot;
  VersionId version = 0;
  {
    auto table = nodes.Lock();
    slot = node->slot;
    version = node->entry().version;
  }
  bool waiting = false, refused = false;
  if (const auto file = files.FileOf(node)) {
    STAGEFS_ASSIGN_OR_RETURN(const FileLock lock, LockInterruptibly(file->mutex()));
    (void)files.StageIfClosed(node, *file, kTurnWait);
    waiting = file->dirty() || file->fresh();
    refused = file->refused();
    version = file->version();
  }
  if (what == "status" && refused) return std::string("refused");
  if (what == "status" && node->kind == NodeKind::kFile && workspace != nullptr) {
    return waiting ? std::string("being written") : workspace->StatusOf(slot);
  }
  if ((what != "sha256" && what != "xxh3") || version == 0) return NoSuchAttribute();
  return HashOf(files.repository(), version, what == "sha256");
}

}  // namespace stagefs
