#include "stage_fs.h"

#include <sys/stat.h>

#include <random>

#include "stagefs/inbox.h"
#include "stagefs/revision.h"
#include "xattr.h"

namespace stagefs {
namespace {

constexpr WorkspaceId kNoWorkspace = 0;

WriterId NewWriter() {
  std::random_device random;
  return 1 + static_cast<WriterId>(random() & 0x7fffffff);
}

}  // namespace

StageFs::StageFs(Repository& repository, MountOptions options)
    : repository_(repository), options_(std::move(options)), nodes_(options_, counters_) {}

StageFs::~StageFs() {
  if (notifier_) Stop();
}

Result<std::unique_ptr<StageFs>> StageFs::OfWorkspace(Repository& repository, const std::string& workspace,
                                                      MountOptions options) {
  auto fs = std::unique_ptr<StageFs>(new StageFs(repository, std::move(options)));
  STAGEFS_RETURN_IF_ERROR(fs->OpenWorkspace(workspace, NewWriter()));
  STAGEFS_ASSIGN_OR_RETURN(fs->copies_, WorkingCopies::Open(repository));
  fs->AssemblePlaces();
  return fs;
}

Result<std::unique_ptr<StageFs>> StageFs::OfCommit(Repository& repository, const CommitInfo& commit,
                                                   MountOptions options) {
  options.commit_ns = commit.time_ns;
  auto fs = std::unique_ptr<StageFs>(new StageFs(repository, std::move(options)));
  fs->commit_ = commit;
  STAGEFS_ASSIGN_OR_RETURN(fs->commit_tree_, OpenTree(repository, commit));
  fs->tree_ = fs->commit_tree_.get();
  fs->registration_ =
      std::make_unique<MountRegistration>(repository, fs->options_.mountpoint, kNoWorkspace, NewWriter());
  fs->notifier_ = std::make_unique<ChangeNotifier>(fs->nodes_, *fs->registration_);
  STAGEFS_ASSIGN_OR_RETURN(fs->copies_, WorkingCopies::Open(repository));
  fs->AssemblePlaces();
  return fs;
}

Status StageFs::OpenWorkspace(const std::string& workspace, WriterId writer) {
  STAGEFS_ASSIGN_OR_RETURN(workspace_, Workspace::Open(repository_, workspace, writer));
  STAGEFS_ASSIGN_OR_RETURN(behind_, Workspace::Open(repository_, workspace));
  for (Workspace* door : {workspace_.get(), behind_.get()}) door->SetActor(options_.actor, "mount");
  STAGEFS_ASSIGN_OR_RETURN(const WorkspaceInfo info, workspace_->Info());
  tree_ = &workspace_->tree();
  registration_ = std::make_unique<MountRegistration>(repository_, options_.mountpoint, workspace_->id(), writer);
  notifier_ = std::make_unique<ChangeNotifier>(nodes_, *workspace_, *registration_, info.change_seq);
  tree_home_ = std::make_unique<TreeHome>(*workspace_, *behind_, counters_);
  inbox_home_ = std::make_unique<InboxHome>(*behind_);
  worker_ = std::make_unique<StagingWorker>(
      [behind = behind_.get()] { return Inbox(*behind).StageQueued().has_value(); });
  return {};
}

void StageFs::AssemblePlaces() {
  files_ = std::make_unique<OpenFiles>(nodes_, *notifier_, OpenFileEnv{repository_, *copies_}, counters_,
                                       tree_home_.get(), inbox_home_.get());
  tree_place_ = std::make_unique<TreePlace>(*tree_, nodes_, *files_, *notifier_, options_,
                                            TreePlace::Staging{workspace_.get(), worker_.get()});
  control_ = std::make_unique<ControlFolder>(
      ControlEnv{repository_, nodes_, *files_, options_, workspace_.get(), behind_.get(), worker_.get(),
                 commit_ ? &*commit_ : nullptr});
}

void StageFs::Stop() {
  notifier_->Stop();
  if (worker_) worker_->Stop();
  if (files_) files_->Stop();
}

Place& StageFs::PlaceOf(const Node& node) {
  const bool of_tree =
      node.kind == NodeKind::kFolder || node.kind == NodeKind::kFile || node.kind == NodeKind::kSymlink;
  return of_tree ? static_cast<Place&>(*tree_place_) : control_->PlaceOf(node.kind);
}

Result<std::shared_ptr<Node>> StageFs::GetToChange(NodeId id) {
  if (!workspace_) return Error(ErrorCode::kReadOnly, "nothing can be staged here");
  return nodes_.Get(id);
}

Result<LookedUp> StageFs::LookUp(NodeId parent, const std::string& name) {
  STAGEFS_ASSIGN_OR_RETURN(const auto folder, nodes_.Get(parent));
  if (parent == kRootNode && name == kControlFolder) return control_->LookUpItself();
  return PlaceOf(*folder).LookUp(folder, name);
}

Result<Attributes> StageFs::GetAttributes(NodeId id) {
  STAGEFS_ASSIGN_OR_RETURN(const auto node, nodes_.Get(id));
  // A deleted workspace is told from an empty one here.
  if (id == kRootNode && workspace_) STAGEFS_RETURN_IF_ERROR(workspace_->Info().WithoutValue());
  return files_->AttributesOf(node);
}

Result<Attributes> StageFs::SetAttributesOf(NodeId id, const SetAttributes& set, FileHandle* handle) {
  STAGEFS_ASSIGN_OR_RETURN(const auto node, GetToChange(id));
  return PlaceOf(*node).SetAttributesOf(node, set, handle);
}

Result<std::string> StageFs::ReadLink(NodeId id) {
  STAGEFS_ASSIGN_OR_RETURN(const auto node, nodes_.Get(id));
  if (!IsLink(node->kind)) return Error(ErrorCode::kInvalidArgument, "not a symbolic link");
  auto table = nodes_.Lock();
  return node->extra().target;
}

Result<std::string> StageFs::GetXattr(NodeId id, const std::string& name) {
  STAGEFS_RETURN_IF_ERROR(CheckXattrName(name));
  STAGEFS_ASSIGN_OR_RETURN(const auto node, nodes_.Get(id));
  return GetXattrOf(*files_, nodes_, workspace_.get(), node, name);
}

Result<std::unique_ptr<DirectoryStream>> StageFs::OpenFolder(NodeId id) {
  STAGEFS_ASSIGN_OR_RETURN(const auto folder, nodes_.Get(id));
  STAGEFS_ASSIGN_OR_RETURN(auto pages, PlaceOf(*folder).OpenFolder(folder));
  return std::make_unique<DirectoryStream>(std::move(pages));
}

Result<std::unique_ptr<FileHandle>> StageFs::Open(NodeId id, int flags) {
  STAGEFS_ASSIGN_OR_RETURN(const auto node, WantsToWrite(flags) ? GetToChange(id) : nodes_.Get(id));
  return PlaceOf(*node).Open(node, flags);
}

Result<Created> StageFs::CreateFile(NodeId parent, const std::string& name, mode_t mode, int flags) {
  STAGEFS_ASSIGN_OR_RETURN(const auto folder, GetToChange(parent));
  auto created = PlaceOf(*folder).MakeFile(folder, name, mode);
  const bool others_did = !created && created.error().code() == ErrorCode::kExists;
  if (!others_did || (flags & O_EXCL) != 0) return created;
  STAGEFS_ASSIGN_OR_RETURN(const LookedUp found, LookUp(parent, name));
  const NodeId id = found.attributes.id;
  if (id == 0) return Error(ErrorCode::kStale, "gone again");
  Result<std::unique_ptr<FileHandle>> handle = Error(ErrorCode::kStale, "not a file");
  if (found.attributes.type == S_IFREG) handle = Open(id, flags);
  if (handle) return Created{{files_->AttributesOf((*handle)->node()), found.cacheable}, std::move(*handle)};
  nodes_.Forget(id, 1);
  return handle.error();
}

Result<LookedUp> StageFs::MakeFolder(NodeId parent, const std::string& name, mode_t mode) {
  STAGEFS_ASSIGN_OR_RETURN(const auto folder, GetToChange(parent));
  return PlaceOf(*folder).MakeFolder(folder, name, mode);
}

Result<LookedUp> StageFs::MakeSymlink(NodeId parent, const std::string& name, const std::string& target) {
  STAGEFS_ASSIGN_OR_RETURN(const auto folder, GetToChange(parent));
  return PlaceOf(*folder).MakeSymlink(folder, name, target);
}

Result<LookedUp> StageFs::Link(NodeId id, NodeId parent, const std::string& name) {
  STAGEFS_ASSIGN_OR_RETURN(const auto source, GetToChange(id));
  STAGEFS_ASSIGN_OR_RETURN(const auto folder, GetToChange(parent));
  return PlaceOf(*folder).Link(source, folder, name);
}

Status StageFs::RemoveFolder(NodeId parent, const std::string& name) {
  STAGEFS_ASSIGN_OR_RETURN(const auto folder, GetToChange(parent));
  return PlaceOf(*folder).RemoveFolder(folder, name);
}

Status StageFs::Remove(NodeId parent, const std::string& name) {
  STAGEFS_ASSIGN_OR_RETURN(const auto folder, GetToChange(parent));
  return PlaceOf(*folder).Remove(folder, name);
}

Status StageFs::Rename(NodeId parent, const std::string& name, NodeId new_parent, const std::string& new_name,
                       RenameMode mode) {
  STAGEFS_ASSIGN_OR_RETURN(const auto from, GetToChange(parent));
  STAGEFS_ASSIGN_OR_RETURN(const auto to, GetToChange(new_parent));
  return PlaceOf(*from).Rename(from, name, to, new_name, mode);
}

}  // namespace stagefs
