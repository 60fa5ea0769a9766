// The JSON bodies Oxen's clients understand.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "stagefs/revision.h"
#include "stagefs/workspace.h"

namespace stagefs {

struct DiskSpace;

// The version of Oxen's wire this server speaks, in `oxen_version` and the header of that name.
constexpr std::string_view kOxenVersion = "0.50.0";
constexpr std::string_view kOxenMinVersion = "0.36.0";

// `status_message`.
constexpr std::string_view kCreated = "resource_created";
constexpr std::string_view kFound = "resource_found";
constexpr std::string_view kUpdated = "resource_updated";
constexpr std::string_view kDeleted = "resource_deleted";

using BodySink = std::function<Status(std::string_view)>;

// What bodies speak of, with everything they print.
struct CommitView {
  CommitInfo info;
  std::vector<std::string> parents;
};
struct BranchView {
  std::string name, commit_id;
};
struct WorkspaceView {
  WorkspaceInfo info;
  CommitView commit;
};
// A file or folder of a revision.
struct EntryView {
  std::string path;
  bool folder = false;
  uint64_t size_bytes = 0;
  std::string hash;  // XXH3; "" for folders.
  std::optional<CommitView> latest;
  std::string change;  // "Added", "Modified", or "" where nothing is staged.
};
struct RevisionView {
  std::string name;
  CommitView commit;
  std::optional<BranchView> branch;
  std::optional<WorkspaceView> workspace;
};
struct PageView {
  int64_t number = 1, size = 0, total_entries = 0;
};

// {"status":…, "status_message":…, "oxen_version":…}
std::string StatusBody(std::string_view status, std::string_view message);
// The same with "status_description": what was not found.
std::string NotFoundBody(std::string_view description);
// {"error":{"type","title","detail"}, "status":"error", "status_message":…}
std::string ErrorBody(unsigned http_status, std::string_view type, std::string_view title,
                      std::string_view detail);
std::string UnauthenticatedBody();
std::string VersionBody(bool minimum);
std::string HealthBody(const DiskSpace& space);
std::string ActionBody(std::string_view action, std::string_view state);

std::string NamespacesBody(const std::vector<std::string>& names);
std::string NamespaceBody(const std::string& name);
struct RepositoryView {
  RepositoryName name;
  uint64_t size_bytes = 0;
  std::map<std::string, int64_t> data_types;  // How many files of each.
  bool empty = false;
};
std::string RepositoryBody(const RepositoryView& repository);
std::string CreatedRepositoryBody(const RepositoryName& name, const CommitView& latest);

std::string BranchBody(std::string_view message, const BranchView& branch);
std::string BranchesBody(const std::vector<BranchView>& branches);
std::string CommitBody(std::string_view message, const CommitView& commit);
std::string CommitsBody(const std::vector<CommitView>& commits, const PageView& page);
std::string MergeBody(const CommitView& base, const CommitView& head, const CommitView& merge);
std::string MergeableBody(const std::vector<std::string>& conflicts, const std::vector<CommitView>& commits);

std::string RevisionBody(const RevisionView& revision, const std::string& path);
std::string EntryBody(const EntryView& entry, const RevisionView& revision);
std::string DirectoryBody(const EntryView& folder, const std::vector<EntryView>& entries,
                          const RevisionView& revision, const std::map<std::string, int64_t>& data_types,
                          const PageView& page);

std::string WorkspaceBody(std::string_view message, const WorkspaceView& workspace);
std::string WorkspacesBody(const std::vector<WorkspaceView>& workspaces);

// The documented answer of the batch route. An atomic batch with a refused entry says "error".
Status WriteErrFiles(const StageReport& report, const BodySink& write);
std::string ErrFilesBody(const std::vector<RefusedEntry>& refused);
// What an upload into a workspace staged, and what it could not.
std::string StagedPathsBody(const std::vector<std::string>& paths, const std::vector<RefusedEntry>& refused);
std::string PathsBody(std::string_view status, std::string_view message,
                      const std::vector<std::string>& paths);

// What is staged at or below `path`, one page of each list.
Result<std::string> ChangesBody(Workspace& workspace, const std::string& path, int64_t page,
                                int64_t page_size);

std::string VersionMetadataBody(const VersionInfo& version);
std::string MissingVersionsBody(const std::vector<std::string>& hashes);
std::string UploadStoredBody();
std::string UploadBegunBody(const std::string& id, uint64_t part_bytes, uint64_t parts, unsigned window);
std::string UploadPartBody(bool completed);
struct CleanedView {
  int64_t scanned = 0, corrupted = 0, cleaned = 0, errors = 0;
  double elapsed_s = 0;
};
std::string CleanedBody(const CleanedView& result);

}  // namespace stagefs
