import CLuaGlue

/// The limits of calls of hooks. Each is what a site may need to change, or a test.
package struct HookLimits: Hashable, Sendable {
    /// Bytes that the Lua state of a call in this process may take; a script that wants more gets "not enough memory".
    package var inProcessMemoryBytes = 256 << 20
    /// Address space of a child, in bytes.
    package var childMemoryBytes = Int(BB_CHILD_MEMORY_DEFAULT)
    /// How long a child that a call left as it was waits for the next one.
    package var childIdleMilliseconds: UInt32 = 5000
    /// A call in this process that takes as long is reported.
    package var slowCallSeconds = 1.0
    /// Calls that wait, in this process and outside each; more are answered as broken.
    package var waitingMax = 65_536
    /// How long `stop` waits for what runs.
    package var stopSeconds = 10.0
    /// How often in a row burst-scriptd may die, without having answered a call, before calls are refused.
    package var restartsMax = 8
    /// The pause before the first restart; each further one is twice as long, up to `pauseSecondsMax`.
    package var firstPauseSeconds = 0.1
    package var pauseSecondsMax = 5.0
    /// After that many seconds of refusing, the next call has burst-scriptd tried again.
    package var refusalSeconds = 30.0

    /// At most as many children at once; further calls wait in order.
    package static let childrenMax = Int(BB_CHILDREN_MAX)

    package init() {}

    static func tooLong(_ count: Int) -> String {
        "the call's arguments take \(count) bytes, and \(HookFrame.bytesMax) are possible"
    }
}
