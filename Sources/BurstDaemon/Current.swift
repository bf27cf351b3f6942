import Synchronization

/// A value that changes while others look at it.
final class Current<Value: Sendable>: Sendable {
    private let store: Mutex<Value>

    init(_ value: Value) { store = Mutex(value) }

    var value: Value {
        get { store.withLock { $0 } }
        set { store.withLock { $0 = newValue } }
    }
}
