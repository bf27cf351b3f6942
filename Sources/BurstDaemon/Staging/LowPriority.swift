import CSys

/// A thread that gives way to everybody else.
enum LowPriority {
    static func enter() { bb_low_priority() }
}
