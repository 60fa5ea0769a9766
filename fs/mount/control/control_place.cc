#include "mount/control/control_place.h"

namespace stagefs {
namespace {

class ControlPages : public FolderPages {
 public:
  ControlPages(const ControlEnv& env, ControlPlace& place, std::shared_ptr<Node> folder)
      : env_(env), place_(place), folder_(std::move(folder)) {}

  Attributes OfFolder() override { return env_.files.AttributesOf(folder_); }
  Result<ListedPage> After(const std::string& name) override { return place_.List(*folder_, name); }
  Shown Show(const Listed& listed, bool) override {
    Node unknown;
    unknown.kind = listed.kind;
    unknown.number = env_.nodes.Lock()->NumberAt(*folder_, listed.name);
    unknown.SetEntry(listed.entry);
    return {env_.nodes.AttributesOf(unknown), false};
  }
  void TakeBack(NodeId) override {}

 private:
  const ControlEnv& env_;
  ControlPlace& place_;
  const std::shared_ptr<Node> folder_;
};

}  // namespace

Error NoSuchName(const std::string& name) { return Error(ErrorCode::kNotFound, name); }

Error NeverChanges() { return Error(ErrorCode::kPermission, "versions and commits never change"); }

Result<LookedUp> ControlPlace::LookUp(const std::shared_ptr<Node>& folder, const std::string& name) {
  STAGEFS_ASSIGN_OR_RETURN(const auto node, Child(*folder, name));
  return CountLookup(node, IsFixed(*node));
}

LookedUp ControlPlace::CountLookup(const std::shared_ptr<Node>& node, bool fixed) {
  {
    auto table = env_.nodes.Lock();
    ++node->lookups;
  }
  return {env_.files.AttributesOf(node), fixed};
}

bool ControlPlace::IsFixed(const Node&) const { return false; }

Result<std::unique_ptr<FolderPages>> ControlPlace::OpenFolder(const std::shared_ptr<Node>& folder) {
  return std::make_unique<ControlPages>(env_, *this, folder);
}

Result<ListedPage> ControlPlace::List(const Node&, const std::string&) {
  return Error(ErrorCode::kNotDirectory, "not a folder");
}

Result<std::shared_ptr<Node>> ControlPlace::Child(const Node&, const std::string& name) {
  return Error(ErrorCode::kNotDirectory, name);
}

Result<std::unique_ptr<FileHandle>> ControlPlace::OpenVersionOf(const std::shared_ptr<Node>& node, int flags) {
  if (WantsToWrite(flags)) return NeverChanges();
  CopySource source;
  {
    auto table = env_.nodes.Lock();
    const Entry entry = node->entry();
    source.version = entry.version;
    source.size_bytes = entry.size_bytes;
  }
  STAGEFS_ASSIGN_OR_RETURN(source.file, OpenSharedVersion(env_.repository, source.version));
  return std::make_unique<BytesHandle>(env_.files, node, std::move(source));
}

}  // namespace stagefs
