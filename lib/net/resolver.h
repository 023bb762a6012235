// Resolver: DNS questions by c-ares on the loop's thread, with a bounded cache that honours TTLs.
// Equal questions that are asked at the same time share one query. One for each process; created
// before chroot, because it reads resolv.conf and /etc/hosts.
//
// A name that does not exist, a name without such data and a name server that gave no answer are three
// different states: the first two are facts about the domain, the third is a reason to try again.
#pragma once

#include "lib/base/result.h"
#include "lib/base/time.h"
#include "lib/event/loop.h"
#include "lib/event/task.h"
#include "lib/net/address.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace posthouse::net {

class ResolverOptions {
public:
    ResolverOptions() = default;
    std::string servers;           // "127.0.0.1:5353 [::1]:53"; empty: resolv.conf
    bool trust_ad = false;         // believe the AD bit of these servers
    bool use_hosts_file = true;    // host_lookup includes "native"
    bool use_dns = true;           // host_lookup includes "dns"
    std::string hosts_file = "/etc/hosts";
    size_t cache_size = 10000;     // answers
    uint32_t longest_ttl = 3600;   // seconds that an answer is kept at most
    uint32_t negative_ttl = 60;    // for an answer that has no SOA
    Duration query_timeout = Duration::seconds(5); // of one try with one server
    int tries = 3;
};

enum class Family : unsigned char { Any, V4, V6 };

// What all answers have. Constructed by the resolver (or a test's fake) alone.
class Answer {
public:
    enum class State : unsigned char { Found, NoData, NoDomain, Temporary };
    Answer() = default;
    explicit Answer(State its_state) : state(its_state) {}

    bool found() const { return state == State::Found; }
    bool temporary() const { return state == State::Temporary; }

    State state = State::Temporary;
    bool authenticated = false; // DNSSEC-validated by a trusted server
    std::string name;           // the end of the CNAME chain, lower case
    // When not Found: "Name service error for name=example.com type=MX: Host not found, try again".
    std::string detail;
};

class MxRecord {
public:
    MxRecord() = default;
    MxRecord(uint16_t its_preference, std::string its_host) : preference(its_preference), host(std::move(its_host)) {}
    friend bool operator==(const MxRecord&, const MxRecord&) = default;
    uint16_t preference = 0;
    std::string host; // "" is the root: a null MX (RFC 7505)
};
class MxAnswer : public Answer {
public:
    using Answer::Answer;
    std::vector<MxRecord> records; // by preference, otherwise as received
};

class AddressAnswer : public Answer {
public:
    using Answer::Answer;
    std::vector<IpAddress> addresses; // Family::Any: IPv6 first
};

class TxtAnswer : public Answer {
public:
    using Answer::Answer;
    std::vector<std::string> texts; // the strings of one record joined
};

class PtrAnswer : public Answer {
public:
    using Answer::Answer;
    std::vector<std::string> names;
};

class NsAnswer : public Answer {
public:
    using Answer::Answer;
    std::vector<std::string> names;
};

class TlsaRecord {
public:
    TlsaRecord() = default;
    friend bool operator==(const TlsaRecord&, const TlsaRecord&) = default;
    uint8_t usage = 0;
    uint8_t selector = 0;
    uint8_t matching = 0;
    std::string data;
};
class TlsaAnswer : public Answer {
public:
    using Answer::Answer;
    std::vector<TlsaRecord> records;
};

class Resolver {
public:
    static Result<std::unique_ptr<Resolver>> create(Loop& loop, ResolverOptions options);
    ~Resolver();
    Resolver(const Resolver&) = delete;
    Resolver& operator=(const Resolver&) = delete;

    // Domain names are A-labels (or plain ASCII), with or without a final dot. A deadline that passes
    // gives Temporary; the query goes on and its answer is kept.
    Task<MxAnswer> mx(std::string domain, Deadline deadline);
    Task<AddressAnswer> addresses(std::string host, Family family, Deadline deadline);
    Task<TxtAnswer> txt(std::string domain, Deadline deadline);
    Task<PtrAnswer> ptr(IpAddress address, Deadline deadline);
    Task<NsAnswer> ns(std::string domain, Deadline deadline); // of this very name, not of its parents
    Task<TlsaAnswer> tlsa(std::string name, Deadline deadline); // "_25._tcp.mail.example.com"

    struct Impl;

private:
    explicit Resolver(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

} // namespace posthouse::net
