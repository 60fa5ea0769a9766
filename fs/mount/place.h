// What can be done with the nodes of one kind: the tree's, and each of the control folder's.
#pragma once

#include <memory>
#include <string>

#include "directory_stream.h"
#include "file_handle.h"

namespace stagefs {

// A file that was made, looked up once and open for writing.
struct Created {
  LookedUp found;
  std::unique_ptr<FileHandle> handle;
};

// Safe for concurrent use. Nodes are of kinds that this place is for. What a place does not do is refused:
// kNotDirectory and kIsDirectory where the node cannot have it, kPermission for changes.
class Place {
 public:
  virtual ~Place();

  // `name` in `folder`, looked up once more. kNotFound, or id 0 where the kernel may remember that.
  virtual Result<LookedUp> LookUp(const std::shared_ptr<Node>& folder, const std::string& name);
  virtual Result<std::unique_ptr<FolderPages>> OpenFolder(const std::shared_ptr<Node>& folder);
  // `flags` as open(2) has them; only O_ACCMODE and O_TRUNC count.
  virtual Result<std::unique_ptr<FileHandle>> Open(const std::shared_ptr<Node>& node, int flags);

  virtual Result<LookedUp> MakeFolder(const std::shared_ptr<Node>& folder, const std::string& name, mode_t mode);
  virtual Result<Created> MakeFile(const std::shared_ptr<Node>& folder, const std::string& name, mode_t mode);
  virtual Result<LookedUp> MakeSymlink(const std::shared_ptr<Node>& folder, const std::string& name,
                                       const std::string& target);
  // `source`: a node of any kind.
  virtual Result<LookedUp> Link(const std::shared_ptr<Node>& source, const std::shared_ptr<Node>& folder,
                                const std::string& name);
  virtual Status RemoveFolder(const std::shared_ptr<Node>& folder, const std::string& name);
  virtual Status Remove(const std::shared_ptr<Node>& folder, const std::string& name);
  // `to` may be of another place.
  virtual Status Rename(const std::shared_ptr<Node>& from, const std::string& name, const std::shared_ptr<Node>& to,
                        const std::string& new_name, RenameMode mode);
  // `handle`: by which the file was named, or nullptr.
  virtual Result<Attributes> SetAttributesOf(const std::shared_ptr<Node>& node, const SetAttributes& set,
                                             FileHandle* handle);
};

// Opens a file of the tree or the inbox; `flags` as Place::Open() has them.
Result<std::unique_ptr<FileHandle>> OpenHandle(OpenFiles& files, const std::shared_ptr<Node>& node, int flags);
// The same for a node that was just made. Files of the tree are remembered by the kernel.
Result<Created> OpenCreated(OpenFiles& files, const std::shared_ptr<Node>& node, mode_t mode);

// Whether open(2) was asked for more than reading.
bool WantsToWrite(int flags);

}  // namespace stagefs
