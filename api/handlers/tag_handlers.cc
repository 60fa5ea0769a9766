// Tags.
#include "handlers.h"
#include "rows.h"
#include "stagefs/history.h"
#include "view_of.h"
#include "wire/history_bodies.h"
#include "wire/reply.h"
#include "wire/requests.h"
#include "wire/status_bodies.h"

namespace stagefs {
namespace {

Reply TagReply(Call& call, std::string_view message, const std::string& name) {
  STAGEFS_ASSIGN_OR_RETURN(const auto reader, call.repository->index().Read());
  STAGEFS_ASSIGN_OR_RETURN(const TagInfo tag,
                           Try(FindTag(*reader, name)).On({ErrorCode::kNotFound}, [&] { return NoTag(name); }));
  STAGEFS_ASSIGN_OR_RETURN(const TagView view, ViewOf(*reader, tag));
  return JsonReply(200, TagBody(message, view));
}

// A client that asks again gets what it asked for, if its tag is of this commit.
Result<bool> IsThere(Call& call, const std::string& name, CommitSeq commit) {
  STAGEFS_ASSIGN_OR_RETURN(const auto reader, call.repository->index().Read());
  STAGEFS_ASSIGN_OR_RETURN(const std::optional<TagInfo> tag, reader->FindTag(name));
  return tag && tag->commit == commit;
}

}  // namespace

Reply ListTags(Call& call) {
  STAGEFS_ASSIGN_OR_RETURN(const auto reader, call.repository->index().Read());
  STAGEFS_ASSIGN_OR_RETURN(const auto tags, reader->ListTags());
  std::vector<TagView> views;
  for (const TagInfo& tag : tags) {
    STAGEFS_ASSIGN_OR_RETURN(TagView view, ViewOf(*reader, tag));
    views.push_back(std::move(view));
  }
  return JsonReply(200, TagsBody(views));
}

Reply CreateTag(Call& call) {
  STAGEFS_ASSIGN_OR_RETURN(const std::string text, call.Text());
  STAGEFS_ASSIGN_OR_RETURN(const NewTag wanted, OrBadRequest(ReadNewTag(text)));
  History history(*call.repository);
  STAGEFS_ASSIGN_OR_RETURN(const CommitInfo commit, Try(history.Resolve(wanted.start.from)).OnAny([&] {
    return wanted.start.from_commit ? NoRevision(wanted.start.from) : NoBranch(wanted.start.from);
  }));
  const auto created = history.CreateTag(wanted.start.name, commit.id, wanted.message, wanted.author);
  if (created) return TagReply(call, kCreated, wanted.start.name);
  if (created.error().code() != ErrorCode::kExists) return created.error();
  STAGEFS_ASSIGN_OR_RETURN(const bool there, IsThere(call, wanted.start.name, commit.seq));
  if (there) return TagReply(call, kFound, wanted.start.name);
  return Refuse(409, "resource_already_exists", "Tag exists", created.error().message());
}

Reply GetTag(Call& call) { return TagReply(call, kFound, call.rest); }

Reply DeleteTag(Call& call) {
  STAGEFS_ASSIGN_OR_RETURN(HttpResponse found, TagReply(call, kDeleted, call.rest));
  STAGEFS_RETURN_IF_ERROR(Try(History(*call.repository).DeleteTag(call.rest)).On({ErrorCode::kNotFound}, [&] {
    return NoTag(call.rest);
  }));
  return found;
}

}  // namespace stagefs
