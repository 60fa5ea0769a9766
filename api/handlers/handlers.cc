#include "handlers.h"

#include <algorithm>
#include <charconv>

#include "server/multipart.h"
#include "stagefs/byte_source.h"
#include "stagefs/history.h"

namespace stagefs {
namespace {

constexpr int64_t kPageSizeMax = 10'000;
constexpr size_t kFieldBytesMax = 1 << 20;
constexpr size_t kFieldsMax = 100;

std::string Lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

}  // namespace

std::optional<PageView> Call::Page(int64_t size_default) const {
  bool bad = false;
  PageView page;
  // Page 0 is how Oxen's command line asks for the first one.
  page.number = std::max<int64_t>(1, QueryInt(target, "page", 1, &bad));
  page.size = QueryInt(target, "page_size", size_default, &bad);
  if (bad || page.size == 0 || page.size > kPageSizeMax || page.number > INT32_MAX) return std::nullopt;
  return page;
}

Result<std::string> Call::Text() const { return ReadText(*request.body, kJsonBytesMax); }

std::optional<bool> QueryBool(const RequestTarget& target, const std::string& name, bool* bad) {
  const auto found = target.query.find(name);
  if (found == target.query.end()) return std::nullopt;
  if (found->second == "true") return true;
  if (found->second == "false") return false;
  *bad = true;
  return std::nullopt;
}

int64_t QueryInt(const RequestTarget& target, const std::string& name, int64_t otherwise, bool* bad) {
  const auto found = target.query.find(name);
  if (found == target.query.end()) return otherwise;
  int64_t value = 0;
  const char* end = found->second.data() + found->second.size();
  const auto parsed = std::from_chars(found->second.data(), end, value);
  if (parsed.ec != std::errc() || parsed.ptr != end || value < 0) *bad = true;
  return value;
}

std::string MediaType(const HttpRequest& request) {
  std::string type = Lower(request.Header("content-type"));
  type = type.substr(0, type.find(';'));
  while (!type.empty() && type.back() == ' ') type.pop_back();
  return type;
}

bool IsJson(const std::string& media_type) {
  const size_t slash = media_type.find('/');
  if (slash == std::string::npos) return false;
  const std::string subtype = media_type.substr(slash + 1);
  return subtype == "json" || subtype.ends_with("+json");
}

Result<CommitView> ViewOf(Repository& repository, const CommitInfo& commit) {
  STAGEFS_ASSIGN_OR_RETURN(auto parents, History(repository).ParentsOf(commit));
  return CommitView{commit, std::move(parents)};
}

Result<std::vector<CommitView>> ViewsOf(Repository& repository, const std::vector<CommitInfo>& commits) {
  std::vector<CommitView> views;
  for (const CommitInfo& commit : commits) {
    STAGEFS_ASSIGN_OR_RETURN(CommitView view, ViewOf(repository, commit));
    views.push_back(std::move(view));
  }
  return views;
}

Result<WorkspaceView> ViewOf(Repository& repository, const WorkspaceInfo& workspace) {
  STAGEFS_ASSIGN_OR_RETURN(const auto reader, repository.index().Read());
  STAGEFS_ASSIGN_OR_RETURN(const std::optional<CommitInfo> commit, reader->GetCommit(workspace.base));
  if (!commit) return Error(ErrorCode::kCorrupt, "the base commit of a workspace is gone");
  STAGEFS_ASSIGN_OR_RETURN(CommitView view, ViewOf(repository, *commit));
  return WorkspaceView{workspace, std::move(view)};
}

Result<BranchView> ViewOf(Repository& repository, const BranchInfo& branch) {
  STAGEFS_ASSIGN_OR_RETURN(const auto reader, repository.index().Read());
  STAGEFS_ASSIGN_OR_RETURN(const std::optional<CommitInfo> commit, reader->GetCommit(branch.head));
  if (!commit) return Error(ErrorCode::kCorrupt, "the head of branch " + branch.name + " is gone");
  return BranchView{branch.name, commit->id};
}

Result<RevisionView> ViewOf(Repository& repository, const Revision& revision) {
  RevisionView view;
  view.name = revision.name;
  STAGEFS_ASSIGN_OR_RETURN(view.commit, ViewOf(repository, revision.commit));
  if (revision.branch) view.branch = BranchView{revision.branch->name, revision.commit.id};
  if (revision.workspace) view.workspace = WorkspaceView{*revision.workspace, view.commit};
  return view;
}

std::string BranchNotFound(const std::string& name) {
  return "Could not find branch: Branch '" + ToDisplayUtf8(name) + "' not found";
}

std::optional<HttpResponse> ReadPaths(const Call& call, std::vector<std::string>* paths) {
  const auto text = call.Text();
  if (!text) return ErrorReply(text.error());
  auto parsed = ParseTexts(*text);
  if (!parsed) return BadStatus(400, parsed.error().message());
  *paths = std::move(*parsed);
  return std::nullopt;
}

std::optional<HttpResponse> ReadMove(const Call& call, std::optional<WireObject>* body, RepoPath* to) {
  const auto text = call.Text();
  if (!text) return ErrorReply(text.error());
  const auto parsed = WireObject::Parse(*text);
  const auto new_path = parsed ? parsed->Text("new_path") : Result<std::string>(parsed.error());
  if (!new_path) return BadStatus(400, new_path.error().message());
  if (new_path->empty()) return BadStatus(400, "new_path cannot be empty");
  const auto path = RepoPath::Parse(*new_path);
  if (!path) return BadRequest(path.error().message());
  *body = *parsed;
  *to = *path;
  return std::nullopt;
}

Result<Form> ReadForm(const Call& call) {
  Form form;
  std::vector<IncomingFile> group;
  std::vector<Form::File> named;
  const auto store = [&]() -> Status {
    if (group.empty()) return {};
    STAGEFS_ASSIGN_OR_RETURN(const auto versions, call.repository->Adopt(std::move(group)));
    for (size_t i = 0; i < versions.size(); ++i) {
      named[i].version = versions[i];
      form.files.push_back(std::move(named[i]));
    }
    group.clear();
    named.clear();
    return {};
  };
  const auto visit = [&](const Part& part, ByteSource& bytes) -> Status {
    if (part.filename.empty()) {
      if (part.name == "file" || part.name == "file[]" || part.name == "files[]") {
        return Error(ErrorCode::kInvalidArgument, "a file without a filename");
      }
      STAGEFS_ASSIGN_OR_RETURN(form.fields[part.name], ReadText(bytes, kFieldBytesMax));
      if (form.fields.size() <= kFieldsMax) return {};
      return Error(ErrorCode::kTooLarge, "more than " + std::to_string(kFieldsMax) + " fields");
    }
    STAGEFS_ASSIGN_OR_RETURN(IncomingFile file, call.repository->NewIncoming());
    STAGEFS_RETURN_IF_ERROR(file.WriteFrom(bytes));
    file.Close();
    group.push_back(std::move(file));
    named.push_back({part.name, part.filename, {}});
    return group.size() < kGroupFilesMax ? Status() : store();
  };
  STAGEFS_RETURN_IF_ERROR(
      ReadMultipart(*call.request.body, call.request.Header("content-type"), call.body_bytes_max, visit));
  STAGEFS_RETURN_IF_ERROR(store());
  return form;
}

}  // namespace stagefs
