// Repositories, their branches and commits.
#include "handlers.h"
#include "server/multipart.h"
#include "stagefs/byte_source.h"
#include "stagefs/history.h"
#include "stagefs/repositories.h"
#include "stagefs/revision.h"

namespace stagefs {
namespace {

constexpr int64_t kHistoryPageSize = 10;
constexpr size_t kFirstFilesMax = 10'000;

// "BASE..HEAD".
std::optional<std::pair<std::string, std::string>> ParseMergeSpec(const std::string& text) {
  const size_t dots = text.find("..");
  if (dots == std::string::npos || dots == 0 || dots + 2 == text.size()) return std::nullopt;
  return std::pair(text.substr(0, dots), text.substr(dots + 2));
}

HttpResponse BranchReply(Call& call, std::string_view message, const std::string& name) {
  const auto reader = call.repository->index().Read();
  if (!reader) return ErrorReply(reader.error());
  const auto branch = (*reader)->FindBranch(name);
  if (!branch) return ErrorReply(branch.error());
  if (!*branch) return NotFoundReply("Branch does not exist", BranchNotFound(name));
  const auto view = ViewOf(*call.repository, **branch);
  return view ? JsonReply(200, BranchBody(message, *view)) : ErrorReply(view.error());
}

HttpResponse NoRevision(const std::string& name) {
  return NotFoundReply("Revision not found", "Could not find branch or commit: " + name);
}

HttpResponse CommitReply(Call& call, std::string_view message) {
  const auto reader = call.repository->index().Read();
  if (!reader) return ErrorReply(reader.error());
  const auto commit = (*reader)->FindCommit(call.names[2]);
  if (!commit) return ErrorReply(commit.error());
  if (!*commit) return NoSuchRoute();
  const auto view = ViewOf(*call.repository, **commit);
  return view ? JsonReply(200, CommitBody(message, *view)) : ErrorReply(view.error());
}

// What a new repository begins with.
struct FirstFiles {
  std::vector<std::pair<std::string, std::string>> texts;  // Path and contents.
};

Result<FirstFiles> ReadFirstFiles(const WireObject& wanted) {
  STAGEFS_ASSIGN_OR_RETURN(const auto files, wanted.Objects("files"));
  if (files.size() > kFirstFilesMax) {
    return Error(ErrorCode::kTooLarge, "more than " + std::to_string(kFirstFilesMax) + " files");
  }
  FirstFiles first;
  for (const WireObject& file : files) {
    STAGEFS_ASSIGN_OR_RETURN(std::string path, file.Text("path"));
    STAGEFS_ASSIGN_OR_RETURN(std::string contents, file.Text("contents"));
    first.texts.emplace_back(std::move(path), std::move(contents));
  }
  return first;
}

// The JSON that says what to create: the body, or a field of a form.
Result<std::string> ReadNewRepository(const Call& call) {
  const std::string type = MediaType(call.request);
  if (IsJson(type) || type.empty()) return call.Text();
  if (!type.starts_with("multipart/")) return Error(ErrorCode::kInvalidArgument, "Unsupported Content-Type");
  std::string text;
  STAGEFS_RETURN_IF_ERROR(ReadMultipart(*call.request.body, call.request.Header("content-type"),
                                        call.body_bytes_max,
                                        [&](const Part& part, ByteSource& bytes) -> Status {
                                          if (part.name != "new_repo") return {};
                                          STAGEFS_ASSIGN_OR_RETURN(text, ReadText(bytes, kJsonBytesMax));
                                          return {};
                                        }));
  return text;
}

Result<CommitInfo> SeedWith(Call& call, const FirstFiles& first) {
  std::vector<std::pair<RepoPath, VersionId>> files;
  for (const auto& [path, contents] : first.texts) {
    STAGEFS_ASSIGN_OR_RETURN(const VersionInfo version, call.repository->PutBytes(contents));
    STAGEFS_ASSIGN_OR_RETURN(RepoPath parsed, RepoPath::Parse(path));
    files.emplace_back(std::move(parsed), version.id);
  }
  if (MediaType(call.request).starts_with("multipart/")) {
    STAGEFS_RETURN_IF_ERROR(call.request.body->Rewind());
    STAGEFS_ASSIGN_OR_RETURN(const Form form, ReadForm(call));
    for (const Form::File& file : form.files) {
      STAGEFS_ASSIGN_OR_RETURN(RepoPath parsed, RepoPath::Parse(file.filename));
      files.emplace_back(std::move(parsed), file.version.id);
    }
  }
  if (files.empty()) return History(*call.repository).Resolve(std::string(kDefaultBranch));
  return History(*call.repository).Seed(files);
}

}  // namespace

HttpResponse CreateRepository(Call& call) {
  const auto text = ReadNewRepository(call);
  if (!text)
    return text.error().code() == ErrorCode::kInvalidArgument ? BadRequest(text.error().message())
                                                              : ErrorReply(text.error());
  const auto wanted = WireObject::Parse(*text);
  if (!wanted) return BadRequest("Invalid JSON: " + wanted.error().message());
  const auto space = wanted->Text("namespace");
  if (!space) return BadRequest("Invalid JSON: " + space.error().message());
  const auto repo_name = wanted->Text("name");
  if (!repo_name) return BadRequest("Invalid JSON: " + repo_name.error().message());
  const auto first = ReadFirstFiles(*wanted);
  if (!first) return BadRequest("Invalid JSON: " + first.error().message());
  for (const auto& [path, contents] : first->texts) {
    if (const auto parsed = RepoPath::Parse(path); !parsed) return BadRequest(parsed.error().message());
  }
  for (const std::string& part : {*space, *repo_name}) {
    if (RepositoryName::Parse(part + "/x")) continue;
    return JsonReply(400, ErrorBody(400, "invalid_repo_name", "Invalid Repository Name",
                                    "Invalid repository or namespace name '" + part +
                                        "'. Must match [a-zA-Z0-9][a-zA-Z0-9_.-]+"));
  }
  const RepositoryName name{*space, *repo_name};
  auto created = call.root.Create(name);
  if (!created && created.error().code() == ErrorCode::kExists) return BadStatus(409, "Repo already exists.");
  if (!created) return ErrorReply(created.error());
  call.repository = std::move(*created);
  const auto commit = SeedWith(call, *first);
  if (!commit) {
    // A form that turned out bad leaves no half-made repository.
    call.repository.reset();
    (void)call.root.Delete(name);
    return ErrorReply(commit.error());
  }
  const auto view = ViewOf(*call.repository, *commit);
  return view ? JsonReply(200, CreatedRepositoryBody(name, *view)) : ErrorReply(view.error());
}

HttpResponse GetRepository(Call& call) {
  RepositoryView view;
  view.name = call.repository->name();
  const auto head = History(*call.repository).Resolve(std::string(kDefaultBranch));
  if (head && head->parent == 0) {
    const auto tree = OpenTree(*call.repository, *head);
    const auto empty = tree ? (*tree)->IsEmpty(kRootFolder) : tree.error();
    view.empty = empty && *empty;
  }
  return JsonReply(200, RepositoryBody(view));
}

HttpResponse DeleteRepository(Call& call) {
  const RepositoryName name = call.repository->name();
  call.repository.reset();
  const Status deleted = call.root.Delete(name);
  if (deleted) return StatusReply(kDeleted);
  if (deleted.error().code() != ErrorCode::kBusy) return ErrorReply(deleted.error());
  return JsonReply(409, ErrorBody(409, "conflict", "Repository is in use",
                                  "it is mounted, or requests use it: unmount it, or try again in a moment"));
}

HttpResponse GetRevision(Call& call) {
  const auto resource = ResolveResource(*call.repository, call.rest);
  if (!resource) return NotFoundReply("Path does not exist", "Could not find path: " + call.rest);
  const auto view = ViewOf(*call.repository, resource->revision);
  return view ? JsonReply(200, RevisionBody(*view, resource->path.str())) : ErrorReply(view.error());
}

HttpResponse ListBranches(Call& call) {
  const auto reader = call.repository->index().Read();
  if (!reader) return ErrorReply(reader.error());
  const auto branches = (*reader)->ListBranches();
  if (!branches) return ErrorReply(branches.error());
  std::vector<BranchView> views;
  for (const BranchInfo& branch : *branches) {
    auto view = ViewOf(*call.repository, branch);
    if (!view) return ErrorReply(view.error());
    views.push_back(std::move(*view));
  }
  return JsonReply(200, BranchesBody(views));
}

HttpResponse CreateBranch(Call& call) {
  const auto text = call.Text();
  if (!text) return ErrorReply(text.error());
  const auto wanted = WireObject::Parse(*text);
  const auto name = wanted ? wanted->Text("new_name") : Result<std::string>(wanted.error());
  if (!name) return BadRequest(name.error().message());
  const auto from_name = wanted->OptionalText("from_name");
  const auto commit_id = wanted->OptionalText("commit_id");
  if (!from_name || !commit_id) return BadRequest("from_name and commit_id are strings");
  if (!*from_name && !*commit_id) return BadRequest("send from_name or commit_id");
  const std::string from = commit_id->value_or(from_name->value_or(""));
  const auto start = History(*call.repository).Resolve(from);
  if (!start)
    return *commit_id ? NoRevision(from) : NotFoundReply("Branch does not exist", BranchNotFound(from));
  const Status created = History(*call.repository).CreateBranch(*name, start->id);
  if (created) return BranchReply(call, kCreated, *name);
  if (created.error().code() != ErrorCode::kExists) return ErrorReply(created.error());
  // A client that asks again gets what it asked for.
  const auto existing = History(*call.repository).Resolve(*name);
  if (existing && existing->seq == start->seq) return BranchReply(call, kFound, *name);
  return JsonReply(409,
                   ErrorBody(409, "resource_already_exists", "Branch exists", created.error().message()));
}

HttpResponse GetBranch(Call& call) { return BranchReply(call, kFound, call.rest); }

HttpResponse UpdateBranch(Call& call) {
  const auto text = call.Text();
  if (!text) return ErrorReply(text.error());
  const auto wanted = WireObject::Parse(*text);
  const auto commit = wanted ? wanted->Text("commit_id") : Result<std::string>(wanted.error());
  if (!commit) return BadRequest(commit.error().message());
  if (!History(*call.repository).Resolve(*commit)) return NoRevision(*commit);
  const auto moved = History(*call.repository).MoveBranch(call.rest, *commit);
  if (moved) return BranchReply(call, kUpdated, call.rest);
  if (moved.error().code() != ErrorCode::kNotFound) return ErrorReply(moved.error());
  return NotFoundReply("Branch does not exist", BranchNotFound(call.rest));
}

HttpResponse DeleteBranch(Call& call) {
  const HttpResponse found = BranchReply(call, kDeleted, call.rest);
  if (found.status != 200) return found;
  const Status deleted = History(*call.repository).DeleteBranch(call.rest);
  if (deleted) return found;
  if (deleted.error().code() != ErrorCode::kBusy) return ErrorReply(deleted.error());
  return JsonReply(409, ErrorBody(409, "conflict", "Branch is in use", deleted.error().message()));
}

HttpResponse GetHistory(Call& call) {
  auto page = call.Page(kHistoryPageSize);
  if (!page) return BadRequest("page counts from 1 and page_size from 1 to 10000");
  const auto resource = ResolveResource(*call.repository, call.rest);
  if (!resource) return NoRevision(call.rest);
  const auto history =
      History(*call.repository).LogOf(resource->revision.commit.id, resource->path, (page->number - 1) * page->size,
                               static_cast<size_t>(page->size));
  if (!history) return ErrorReply(history.error());
  if (history->total == 0) {
    return NotFoundReply("Path does not exist", "Could not find path: " + resource->path.str());
  }
  page->total_entries = history->total;
  const auto views = ViewsOf(*call.repository, history->commits);
  return views ? JsonReply(200, CommitsBody(*views, *page)) : ErrorReply(views.error());
}

HttpResponse GetCommit(Call& call) { return CommitReply(call, kFound); }
HttpResponse CompleteCommit(Call& call) { return CommitReply(call, kCreated); }

HttpResponse GetMergeable(Call& call) {
  const auto spec = ParseMergeSpec(call.rest);
  if (!spec) return BadRequest("write BASE..HEAD");
  if (!History(*call.repository).Resolve(spec->second)) return NoRevision(spec->second);
  const auto preview = History(*call.repository).PreviewMerge(spec->first, spec->second);
  if (!preview && preview.error().code() == ErrorCode::kNotFound) {
    return NotFoundReply("Branch does not exist", BranchNotFound(spec->first));
  }
  if (!preview) return ErrorReply(preview.error());
  const auto commits = ViewsOf(*call.repository, preview->commits);
  return commits ? JsonReply(200, MergeableBody(preview->conflicts, *commits)) : ErrorReply(commits.error());
}

HttpResponse MergeBranches(Call& call) {
  const auto spec = ParseMergeSpec(call.rest);
  if (!spec) return BadRequest("write BASE..HEAD");
  Author author{"Oxen", "oxen@oxen.ai"};
  const auto text = call.Text();
  if (!text) return ErrorReply(text.error());
  if (!text->empty()) {
    const auto who = WireObject::Parse(*text);
    const auto name = who ? who->OptionalText("name") : Result<std::optional<std::string>>(who.error());
    if (!name) return BadRequest(name.error().message());
    const auto email = who->OptionalText("email");
    if (!email) return BadRequest(email.error().message());
    author = {name->value_or(author.name), email->value_or(author.email)};
  }
  const auto& [base, head] = *spec;
  if (!History(*call.repository).Resolve(head)) return NoRevision(head);
  const auto merged = History(*call.repository).Merge(base, head, MergeMessage(base, head), author);
  if (!merged && merged.error().code() == ErrorCode::kNotFound) {
    return NotFoundReply("Branch does not exist", BranchNotFound(base));
  }
  if (!merged && merged.error().code() == ErrorCode::kConflict) {
    return JsonReply(409, ErrorBody(409, "conflict", "Merge conflict", merged.error().message()));
  }
  if (!merged) return ErrorReply(merged.error());
  const auto views = ViewsOf(*call.repository, {merged->base, merged->head, merged->merge});
  if (!views) return ErrorReply(views.error());
  return JsonReply(200, MergeBody((*views)[0], (*views)[1], (*views)[2]));
}

}  // namespace stagefs
