// A TemplateSeat as bytes, for a template that is another program (a Python interpreter) of the same build.
// Descriptors keep their numbers: who executes the program lets it inherit inherited_descriptors().
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/seat.hpp"

namespace narwhal {

// What a TemplateSeat refers to, in the program that has been executed.
struct ReceivedSeat {
  TemplateSeat seat;
  std::vector<std::unique_ptr<Listener>> listeners;  // of the seat
  std::optional<Scoreboard> scoreboard;              // of the seat
};

std::string seat_bytes(const TemplateSeat& seat);
std::vector<int> inherited_descriptors(const TemplateSeat& seat);
// Error: they are not of this build, or the scoreboard could not be mapped.
Result<std::unique_ptr<ReceivedSeat>> received_seat(std::string_view bytes);

}  // namespace narwhal
