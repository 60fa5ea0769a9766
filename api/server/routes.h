// The table of routes, and which of them a request is for.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "handlers/handlers.h"

namespace stagefs {

// {name} stands for one segment, {name*} for all that follow the slash, also none. The first route that fits
// counts. Without a method it is every one.
struct Route {
  std::string_view method, pattern;
  Handler handle;
  // Asked before what the path names is looked up: Oxen's own checks are in this order.
  OrRefusal<> (*check)(const Call&) = nullptr;

  bool NamesRepository() const;
  bool NamesWorkspace() const;
};

struct RouteMatch {
  const Route* route = nullptr;
  std::vector<std::string> names;  // What stands for each {name}.
  std::string rest;                // What stands for {…*}, joined by '/'.
};

struct RouteSearch {
  std::optional<RouteMatch> match;
  // Without a match: the methods that this path has; none if it has no route.
  std::set<std::string_view> allowed;
};

// Those that any route has by name.
std::set<std::string_view> AllMethods();
RouteSearch FindRoute(std::string_view method, const std::vector<std::string>& segments);

}  // namespace stagefs
