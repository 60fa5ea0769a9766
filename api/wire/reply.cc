#include "reply.h"

#include "status_bodies.h"

namespace stagefs {

HttpResponse JsonReply(unsigned status, std::string body) {
  HttpResponse response;
  response.status = status;
  response.body = std::move(body);
  return response;
}

HttpResponse StatusReply(std::string_view message) { return JsonReply(200, StatusBody("success", message)); }

}  // namespace stagefs
