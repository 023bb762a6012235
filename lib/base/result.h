// Result<T>: a value or an Error, a subset of std::expected. Expected failures travel as values;
// exceptions are left for bugs and start-up. Never dropped silently ([[nodiscard]]).
#pragma once

#include "lib/base/error.h"

#include <optional>
#include <utility>
#include <variant>

namespace posthouse {

template <class T>
class [[nodiscard]] Result {
public:
    Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
    Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

    explicit operator bool() const { return state_.index() == 0; }
    T& operator*() & { return *std::get_if<0>(&state_); }
    const T& operator*() const& { return *std::get_if<0>(&state_); }
    T&& operator*() && { return std::move(*std::get_if<0>(&state_)); }
    T* operator->() { return std::get_if<0>(&state_); }
    const T* operator->() const { return std::get_if<0>(&state_); }

    Error& error() { return *std::get_if<1>(&state_); }
    const Error& error() const { return *std::get_if<1>(&state_); }

private:
    std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
public:
    Result() = default;
    Result(Error error) : error_(std::move(error)) {}

    explicit operator bool() const { return !error_.has_value(); }
    Error& error() { return *error_; }
    const Error& error() const { return *error_; }

private:
    std::optional<Error> error_;
};

} // namespace posthouse

// For a Result<void> in a coroutine: `CO_CHECK(co_await stream.flush());`. A plain `if`, because a
// statement expression around co_await ends g++ 12 with an internal error.
#define CO_CHECK(expression)                                                                       \
    if (auto check_result_ = (expression); !check_result_)                                         \
    co_return std::move(check_result_.error())

// The same for an ordinary function.
#define RETURN_IF_ERROR(expression)                                                                        \
    if (auto check_result_ = (expression); !check_result_)                                         \
    return std::move(check_result_.error())
