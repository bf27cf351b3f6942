import BurstModel

/// The four JSON documents that Slurm's datawarp plugin polls (staging.md §1.3), each an object with one array.
///
/// Slurm rewrites the text before it reads it: every apostrophe becomes a quotation mark, and a `u` before one is
/// dropped. So no apostrophe stands anywhere; and it ignores numbers that are no plain integers (staging.md §0, fact
/// 2). All of a document comes from one snapshot: never half of the sessions.
package enum SlurmDocument: String, CaseIterable, Sendable {
    case pools, showInstances = "show_instances", showSessions = "show_sessions"
    case showConfigurations = "show_configurations"

    /// What is handed to a sink at a time, about.
    package static let pieceBytes = 65_536

    package func bytes(_ snapshot: StagerSnapshot) -> [UInt8] {
        var bytes: [UInt8] = []
        write(snapshot) { bytes += $0 }
        return bytes
    }

    /// Writes the document piece by piece, a line feed at the end.
    package func write(_ snapshot: StagerSnapshot, to sink: ([UInt8]) -> Void) {
        withoutActuallyEscaping(sink) { sink in
            var out = PlainJSON(sink: sink)
            switch self {
            case .pools: out.array("pools", snapshot.pools) { Self.pool($1, &$0) }
            case .showSessions: out.array("sessions", snapshot.listed) { Self.session($1, &$0) }
            case .showInstances:
                out.array("instances", snapshot.listed.lazy.flatMap { s in s.instances.map { (s, $0) } }) {
                    Self.instance($1.0, $1.1, &$0)
                }
            case .showConfigurations:
                out.array(
                    "configurations",
                    snapshot.listed.lazy.flatMap { session in
                        session.instances.flatMap { instance in
                            instance.configurations.map { (session, instance.id, $0.id) }
                        }
                    }
                ) {
                    Self.configuration($1.0, $1.1, $1.2, &$0)
                }
            }
            out.end()
        }
    }

    /// A line for the file that stands in for the three listings while nobody answers: the session is listed from here
    /// on. `+ID`, its row of `show_sessions`, those of `show_instances`, those of `show_configurations`, with tabs
    /// between; rows are parted as in a document.
    package static func listing(_ session: StagerSession) -> [UInt8] {
        var line = Array("+\(session.id.number)\t".utf8)
        do {
            var out = PlainJSON { line += $0 }
            out.row { Self.session(session, &$0) }
            out.literal("\t")
            for (index, instance) in session.instances.enumerated() {
                if index > 0 { out.literal(", ") }
                out.row { Self.instance(session, instance, &$0) }
            }
            out.literal("\t")
            var isFirst = true
            for instance in session.instances {
                for configuration in instance.configurations {
                    if !isFirst { out.literal(", ") }
                    isFirst = false
                    out.row { Self.configuration(session, instance.id, configuration.id, &$0) }
                }
            }
            out.end()
        }
        return line
    }

    /// The same: it is listed no more.
    package static func unlisting(_ id: SessionID) -> [UInt8] { Array("-\(id.number)\n".utf8) }

    private static func configuration(
        _ session: StagerSession, _ instance: UInt64, _ id: UInt64, _ out: inout PlainJSON
    ) {
        out.field("id", id)
        out.object("links") { $0.field("instance", instance) }
        state(session, &out)
    }

    private static func pool(_ row: StagerSnapshot.Pool, _ out: inout PlainJSON) {
        out.field("free", row.free)
        out.field("granularity", row.pool.granularity)
        out.text("id", row.pool.id)
        // What buffers can have: the reserve would look as if somebody had it.
        out.field("quantity", row.pool.usable)
        out.text("units", row.pool.units)
    }

    private static func session(_ session: StagerSession, _ out: inout PlainJSON) {
        out.field("created", UInt64(max(0, session.created.milliseconds / 1000)))
        out.text("creator", session.creator.rawValue)
        out.field("expiration", 0)
        out.flag("expired", false)
        out.field("id", session.id.number)
        out.object("links") { $0.texts("client_nodes", session.nodes) }
        out.field("owner", UInt64(session.owner.uid))
        state(session, &out)
        out.text("token", session.token)
    }

    private static func instance(
        _ session: StagerSession, _ instance: StagerSession.Instance, _ out: inout PlainJSON
    ) {
        out.object("capacity") {
            $0.field("bytes", instance.bytes)
            $0.field("nodes", 1)
        }
        out.field("created", UInt64(max(0, session.created.milliseconds / 1000)))
        out.field("expiration", 0)
        out.flag("expired", false)
        out.field("id", instance.id)
        out.flag("intact", session.lostWhy == nil)
        out.text("label", session.label(of: instance.id))
        out.object("limits") {
            $0.field("write_window_length", 86_400)
            $0.field("write_window_multiplier", 10)
        }
        out.object("links") {
            $0.numbers("configurations", instance.configurations.map(\.id))
            $0.field("session", session.id.number)
        }
        out.flag("public", session.isPersistent)
        state(session, &out)
    }

    private static func state(_ session: StagerSession, _ out: inout PlainJSON) {
        let flags = StateFlags(session)
        out.object("state") {
            $0.flag("actualized", flags.actualized)
            $0.flag("fuse_blown", flags.fuseBlown)
            $0.text("goal", flags.isToBe ? "create" : "destroy")
            $0.flag("mixed", flags.mixed)
            $0.flag("transitioning", flags.transitioning)
        }
    }
}

extension StagerSession {
    /// A persistent buffer's name, or `I83-0`.
    func label(of instance: UInt64) -> String {
        if isPersistent { return token }
        return "I\(id.number)-\(instances.firstIndex { $0.id == instance } ?? 0)"
    }
}

/// JSON of names, whole numbers and flags, in pieces. Keys and texts are names that need no escape (`StagerName`).
struct PlainJSON: ~Copyable {
    private var buffer: [UInt8] = []
    private let sink: ([UInt8]) -> Void
    private var follows = false

    init(sink: @escaping ([UInt8]) -> Void) {
        self.sink = sink
        buffer.reserveCapacity(SlurmDocument.pieceBytes + 4096)
    }

    /// The document: an object with one array of objects.
    mutating func array<Elements: Sequence>(
        _ key: StaticString, _ elements: Elements, _ each: (inout PlainJSON, Elements.Element) -> Void
    ) {
        buffer.append(UInt8(ascii: "{"))
        self.key(key)
        buffer.append(UInt8(ascii: "["))
        var isFirst = true
        for element in elements {
            if !isFirst { literal(", ") }
            isFirst = false
            row { each(&$0, element) }
            if buffer.count >= SlurmDocument.pieceBytes {
                sink(buffer)
                buffer.removeAll(keepingCapacity: true)
            }
        }
        literal("]}")
    }

    mutating func row(_ content: (inout PlainJSON) -> Void) {
        buffer.append(UInt8(ascii: "{"))
        follows = false
        content(&self)
        buffer.append(UInt8(ascii: "}"))
    }

    mutating func end() {
        buffer.append(0x0a)
        sink(buffer)
        buffer.removeAll()
    }

    mutating func object(_ key: StaticString, _ content: (inout PlainJSON) -> Void) {
        self.key(key)
        buffer.append(UInt8(ascii: "{"))
        follows = false
        content(&self)
        buffer.append(UInt8(ascii: "}"))
        follows = true
    }

    /// Slurm reads signed 64-bit numbers: what is larger is the largest of those.
    mutating func field(_ key: StaticString, _ number: UInt64) {
        self.key(key)
        digits(min(number, UInt64(Int64.max)))
    }

    mutating func flag(_ key: StaticString, _ flag: Bool) {
        self.key(key)
        if flag { literal("true") } else { literal("false") }
    }

    mutating func text(_ key: StaticString, _ text: String) {
        self.key(key)
        quote(text)
    }

    mutating func texts(_ key: StaticString, _ texts: [String]) {
        list(key, texts) { $0.quote($1) }
    }

    mutating func numbers(_ key: StaticString, _ numbers: [UInt64]) {
        list(key, numbers) { $0.digits(min($1, UInt64(Int64.max))) }
    }

    private mutating func list<Element>(
        _ key: StaticString, _ elements: [Element], _ each: (inout PlainJSON, Element) -> Void
    ) {
        self.key(key)
        buffer.append(UInt8(ascii: "["))
        for (index, element) in elements.enumerated() {
            if index > 0 { literal(", ") }
            each(&self, element)
        }
        buffer.append(UInt8(ascii: "]"))
        follows = true
    }

    private mutating func quote(_ text: String) {
        buffer.append(UInt8(ascii: "\""))
        for byte in text.utf8 {
            let isPlain = byte >= 0x20 && byte < 0x7f && byte != 0x22 && byte != 0x27 && byte != 0x5c
            precondition(isPlain, "a name needs an escape")
            buffer.append(byte)
        }
        buffer.append(UInt8(ascii: "\""))
    }

    private mutating func key(_ key: StaticString) {
        if follows { literal(", ") }
        buffer.append(UInt8(ascii: "\""))
        literal(key)
        literal("\": ")
        follows = true
    }

    mutating func literal(_ text: StaticString) {
        text.withUTF8Buffer { buffer.append(contentsOf: $0) }
    }

    private mutating func digits(_ number: UInt64) {
        if number >= 10 { digits(number / 10) }
        buffer.append(UInt8(ascii: "0") + UInt8(number % 10))
    }
}
