internal import FoundationEssentials

/// What `list` answers of the history: the body is a JSON object with one list, named as the question:
/// `{"changes": [...]}`. Names are written with underscores, times are RFC 3339 in UTC, sizes are bytes or units as
/// the pool
/// counts. What is not known is absent.
package enum Listing {
    package struct Change: Codable, Hashable, Sendable {
        package var at: String
        package var jobId: UInt32
        package var userId: UInt32
        package var state: String
        package var burstBufferState: String?
        package var reason: String
        package var pool: String?
        package var size: UInt64

        package init(
            at: String, jobId: UInt32, userId: UInt32, state: String, burstBufferState: String?, reason: String,
            pool: String?, size: UInt64
        ) {
            self.at = at
            self.jobId = jobId
            self.userId = userId
            self.state = state
            self.burstBufferState = burstBufferState
            self.reason = reason
            self.pool = pool
            self.size = size
        }
    }

    package struct Action: Codable, Hashable, Sendable {
        package var at: String
        package var userId: UInt32
        package var verb: String
        package var jobId: UInt32?
        package var outcome: String

        package init(at: String, userId: UInt32, verb: String, jobId: UInt32?, outcome: String) {
            self.at = at
            self.userId = userId
            self.verb = verb
            self.jobId = jobId
            self.outcome = outcome
        }
    }

    /// A call of a hook: a line of `trace`, and the body of a `call` push. A call that has ended comes again, with
    /// its outcome.
    package struct Call: Codable, Hashable, Sendable {
        package struct Line: Codable, Hashable, Sendable {
            package var level: String
            package var text: String

            package init(level: String, text: String) {
                self.level = level
                self.text = text
            }
        }

        package var call: UInt64
        package var function: String
        package var jobId: UInt32?
        package var arguments: [String]
        package var limitSeconds: UInt32?
        /// When it was decided.
        package var at: String
        /// Nil: under way. `success`, `failure`, `broken`, `timeout`, `killed`, `lost`.
        package var outcome: String?
        package var status: Int?
        package var message: String?
        package var printed: String?
        package var log: [Line]?
        package var pid: Int32?
        /// When the function began, and how long it took.
        package var startedMicroseconds: Int64?
        package var durationMicroseconds: Int64?

        package init(
            call: UInt64, function: String, jobId: UInt32?, arguments: [String], limitSeconds: UInt32?, at: String
        ) {
            self.call = call
            self.function = function
            self.jobId = jobId
            self.arguments = arguments
            self.limitSeconds = limitSeconds
            self.at = at
        }
    }
}

extension Listing {
    /// A value of an answer's or a push's body.
    package static func read<Value: Decodable>(
        _ type: Value.Type = Value.self, from json: some Sequence<UInt8>
    ) throws(FrameError) -> Value {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        do {
            return try decoder.decode(type, from: Data(json))
        } catch {
            throw FrameError("a body is not what is expected here: \(type)")
        }
    }
}
