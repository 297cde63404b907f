#include "server/config/config_layer.hpp"

#include <algorithm>

#include "server/config/routes.hpp"
#include "server/config/setting_values.hpp"

namespace narwhal::server {
namespace {

void apply(const Assignment& assignment, Draft& draft) {
  const Setting& setting = *assignment.setting;
  clear_list(setting, draft.config);
  for (const Located& value : assignment.values) {
    std::optional<std::string> fault = set_value(setting, value.text, draft.config);
    if (fault) draft.faults.push_back(value.where + ": " + *fault);
  }
  draft.origins[std::string(setting.name)] = assignment.origin;
}

// The one that `app` and APP mean.
bool is_root(const Route& route) { return route.prefix.empty() && route.hosts.empty(); }

// The root route is written as `app`, or as a route with the prefix "/"; an APP of a later source replaces both.
class RouteTable {
 public:
  explicit RouteTable(Draft& draft) : draft_(draft) {}

  void add_all(const Layer& layer) {
    if (layer.app) set_root_app(layer);
    if (layer.options) {
      root_options_ = layer.root_options;
      root_places_ = layer.root_places;
      options_where_ = layer.options->where;
    }
    single_options_.insert(single_options_.end(), layer.single_options.begin(), layer.single_options.end());
    for (const LocatedRoute& located : layer.routes) add(located);
  }

  void finish() {
    if (root_app_) {
      Route root{"", *root_app_, root_options_};
      root.option_places = root_places_;
      draft_.config.routes.push_back(std::move(root));
    } else if (!options_where_.empty()) {
      draft_.faults.push_back(options_where_ + ": these options belong to 'app', which is missing");
    }
    for (const auto& [key, value] : single_options_) set_root_option(key, value);
    sort_routes(draft_.config.routes);
  }

 private:
  void set_root_app(const Layer& layer) {
    draft_.origins["app"] = layer.origin;
    root_where_ = layer.app->where;
    if (options_where_.empty()) root_places_ = layer.root_places;
    std::vector<Route>& routes = draft_.config.routes;
    for (Route& route : routes) {
      if (!is_root(route)) continue;
      route.app = layer.app->text;
      return;
    }
    root_app_ = layer.app->text;
  }

  void set_root_option(const std::string& key, const Located& value) {
    for (Route& route : draft_.config.routes) {
      if (!is_root(route)) continue;
      for (Options* each : {&route.options, &route.option_places.each})
        std::erase_if(*each, [&](const auto& option) { return option.first == key; });
      if (!value.text.empty()) route.options.emplace_back(key, value.text);  // as in a file, an empty one is none
      route.option_places.each.emplace_back(key, value.where);
      return;
    }
    draft_.faults.push_back(value.where + ": no application at \"/\" could have the option '" + key + "'");
  }

  void add(const LocatedRoute& located) {
    Result<std::string> prefix = normal_prefix(located.route.prefix);
    if (!prefix) return fault(located, prefix.error());
    Route added = located.route;
    added.prefix = *prefix;
    if (is_root(added) && root_app_) return fault(located, "'/' already has an application, at " + root_where_);
    for (const Route& other : draft_.config.routes) {
      const std::optional<std::string> host = common_host(added, other);
      if (!host) continue;
      const std::string of_host = host->empty() ? "" : " for host '" + *host + "'";
      return fault(located,
                   "prefix '" + (added.prefix.empty() ? "/" : located.route.prefix) + "' appears twice" + of_host);
    }
    draft_.origins.try_emplace("routes", located.origin);
    if (is_root(added)) draft_.origins["app"] = located.origin;
    draft_.config.routes.push_back(std::move(added));
  }

  void fault(const LocatedRoute& located, const std::string& reason) {
    draft_.faults.push_back(located.where + ": " + reason);
  }

  Draft& draft_;
  std::optional<std::string> root_app_;
  Options root_options_;
  OptionPlaces root_places_;
  std::vector<std::pair<std::string, Located>> single_options_;
  std::string root_where_, options_where_;
};

}  // namespace

Draft merge_layers(const std::vector<Layer>& layers) {
  Draft draft;
  RouteTable routes(draft);
  for (const Layer& layer : layers) {
    const std::size_t faults_before = draft.faults.size();
    draft.faults.insert(draft.faults.end(), layer.faults.begin(), layer.faults.end());
    draft.notices.insert(draft.notices.end(), layer.notices.begin(), layer.notices.end());
    for (const Assignment& assignment : layer.assignments) apply(assignment, draft);
    routes.add_all(layer);
    draft.config.sources.insert(draft.config.sources.end(), layer.files.begin(), layer.files.end());
    if (draft.faults.size() > faults_before) draft.exit_code = std::max(draft.exit_code, layer.exit_code);
  }
  routes.finish();
  if (!draft.faults.empty()) draft.exit_code = std::max(draft.exit_code, 1);
  return draft;
}

}  // namespace narwhal::server
