// Repositories: made, looked at, deleted.
#include "form.h"
#include "handlers.h"
#include "stagefs/history.h"
#include "stagefs/repositories.h"
#include "stagefs/revision.h"
#include "view_of.h"
#include "wire/media_type.h"
#include "wire/read_text.h"
#include "wire/reply.h"
#include "wire/repository_bodies.h"
#include "wire/requests.h"
#include "wire/status_bodies.h"

namespace stagefs {
namespace {

// The JSON that says what to create: the body, or a field of a form.
Result<std::string> TextOf(const Call& call) {
  const std::string type = MediaTypeOf(call.request);
  if (IsJson(type) || type.empty()) return call.Text();
  if (!IsForm(call.request)) return Error(ErrorCode::kInvalidArgument, "Unsupported Content-Type");
  std::string text;
  STAGEFS_RETURN_IF_ERROR(ReadParts(call, [&](const Part& part, ByteSource& bytes) -> Status {
    if (part.name != "new_repo") return {};
    STAGEFS_ASSIGN_OR_RETURN(text, ReadText(bytes, kJsonBytesMax));
    return {};
  }));
  return text;
}

using FirstFiles = std::vector<std::pair<RepoPath, std::string>>;  // Path and contents.

Result<FirstFiles> ParsePaths(const NewRepository& wanted) {
  FirstFiles files;
  for (const auto& [path, contents] : wanted.files) {
    STAGEFS_ASSIGN_OR_RETURN(RepoPath parsed, RepoPath::Parse(path));
    files.emplace_back(std::move(parsed), contents);
  }
  return files;
}

OrRefusal<RepositoryName> NameOf(const NewRepository& wanted) {
  for (const std::string& part : {wanted.space, wanted.name}) {
    if (RepositoryName::Parse(part + "/x")) continue;
    return Refuse(
        400, "invalid_repo_name", "Invalid Repository Name",
        "Invalid repository or namespace name '" + part + "'. Must match [a-zA-Z0-9][a-zA-Z0-9_.-]+");
  }
  return RepositoryName{wanted.space, wanted.name};
}

Result<CommitInfo> SeedWith(Call& call, const FirstFiles& first) {
  std::vector<std::pair<RepoPath, VersionId>> files;
  for (const auto& [path, contents] : first) {
    STAGEFS_ASSIGN_OR_RETURN(const VersionInfo version, call.repository->PutBytes(contents));
    files.emplace_back(path, version.id);
  }
  if (IsForm(call.request)) {
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

Reply CreateRepository(Call& call) {
  STAGEFS_ASSIGN_OR_RETURN(const std::string text,
                           Try(TextOf(call)).On({ErrorCode::kInvalidArgument}, [](const Error& error) {
                             return BadRequest(error.message());
                           }));
  STAGEFS_ASSIGN_OR_RETURN(const NewRepository wanted, OrBadRequest(ReadNewRepository(text)));
  STAGEFS_ASSIGN_OR_RETURN(const FirstFiles first, OrBadRequest(ParsePaths(wanted)));
  STAGEFS_ASSIGN_OR_RETURN(const RepositoryName name, NameOf(wanted));
  STAGEFS_ASSIGN_OR_RETURN(call.repository, Try(call.root.Create(name)).On({ErrorCode::kExists}, [] {
    return BadStatus(409, "Repo already exists.");
  }));
  const auto commit = SeedWith(call, first);
  if (!commit) {
    // A form that turned out bad leaves no half-made repository.
    call.repository.reset();
    (void)call.root.Delete(name);
    return commit.error();
  }
  STAGEFS_ASSIGN_OR_RETURN(const auto reader, call.repository->index().Read());
  STAGEFS_ASSIGN_OR_RETURN(const CommitView view, ViewOf(*reader, *commit));
  return JsonReply(200, CreatedRepositoryBody(name, view));
}

Reply GetRepository(Call& call) {
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

Reply DeleteRepository(Call& call) {
  const RepositoryName name = call.repository->name();
  call.repository.reset();
  STAGEFS_RETURN_IF_ERROR(Try(call.root.Delete(name)).On({ErrorCode::kBusy}, [] {
    return Conflict("Repository is in use",
                    "it is mounted, or requests use it: unmount it, or try again in a moment");
  }));
  return StatusReply(kDeleted);
}

}  // namespace stagefs
