#include "place.h"

#include <fcntl.h>

namespace stagefs {
namespace {

Error NothingChangesHere() { return Error(ErrorCode::kPermission, "nothing can be changed here"); }

}  // namespace

bool WantsToWrite(int flags) { return (flags & O_ACCMODE) != O_RDONLY; }

Result<std::unique_ptr<FileHandle>> OpenHandle(OpenFiles& files, const std::shared_ptr<Node>& node, int flags) {
  const bool writes = WantsToWrite(flags);
  STAGEFS_ASSIGN_OR_RETURN(auto file, files.Open(node, writes, writes && (flags & O_TRUNC) != 0));
  return std::make_unique<OpenFileHandle>(files, node, std::move(file), writes);
}

Result<Created> OpenCreated(OpenFiles& files, const std::shared_ptr<Node>& node, mode_t mode) {
  STAGEFS_ASSIGN_OR_RETURN(auto file, files.OpenNew(node, mode));
  Created created;
  created.handle = std::make_unique<OpenFileHandle>(files, node, std::move(file), /*writes=*/true);
  created.found = {files.AttributesOf(node), node->kind == NodeKind::kFile};
  return created;
}

Place::~Place() = default;

Result<LookedUp> Place::LookUp(const std::shared_ptr<Node>&, const std::string& name) {
  return Error(ErrorCode::kNotDirectory, name);
}

Result<std::unique_ptr<FolderPages>> Place::OpenFolder(const std::shared_ptr<Node>&) {
  return Error(ErrorCode::kNotDirectory, "not a folder");
}

Result<std::unique_ptr<FileHandle>> Place::Open(const std::shared_ptr<Node>&, int) {
  return Error(ErrorCode::kIsDirectory, "not a file");
}

Result<LookedUp> Place::MakeFolder(const std::shared_ptr<Node>&, const std::string&, mode_t) {
  return NothingChangesHere();
}

Result<Created> Place::MakeFile(const std::shared_ptr<Node>&, const std::string&, mode_t) {
  return NothingChangesHere();
}

Result<LookedUp> Place::MakeSymlink(const std::shared_ptr<Node>&, const std::string&, const std::string&) {
  return NothingChangesHere();
}

Result<LookedUp> Place::Link(const std::shared_ptr<Node>&, const std::shared_ptr<Node>&, const std::string&) {
  return NothingChangesHere();
}

Status Place::RemoveFolder(const std::shared_ptr<Node>&, const std::string&) { return NothingChangesHere(); }

Status Place::Remove(const std::shared_ptr<Node>&, const std::string&) { return NothingChangesHere(); }

Status Place::Rename(const std::shared_ptr<Node>&, const std::string&, const std::shared_ptr<Node>& to,
                     const std::string&, RenameMode) {
  // mv falls back to a copy, which works in both directions.
  if (to->kind == NodeKind::kInboxFolder) return Error(ErrorCode::kCrossDevice, "copy it instead");
  return NothingChangesHere();
}

Result<Attributes> Place::SetAttributesOf(const std::shared_ptr<Node>&, const SetAttributes&, FileHandle*) {
  return NothingChangesHere();
}

}  // namespace stagefs
