/// Sessions by their number. Each has a box of its own, so that a copy of all of them costs a pointer apiece: the
/// daemon keeps one for every batch of events, to go back to it where the batch cannot be written down.
package struct SessionTable: Sendable {
    private final class Box: Sendable {
        let session: StagerSession

        init(_ session: StagerSession) { self.session = session }
    }

    private var boxes: [SessionID: Box] = [:]

    init() {}

    package subscript(id: SessionID) -> StagerSession? {
        get { boxes[id]?.session }
        set { boxes[id] = newValue.map(Box.init) }
    }

    package var count: Int { boxes.count }
    package var isEmpty: Bool { boxes.isEmpty }
    package var keys: some Collection<SessionID> { boxes.keys }
    package var values: some Collection<StagerSession> { boxes.values.lazy.map(\.session) }
    /// By id.
    package var sorted: [StagerSession] { boxes.sorted { $0.key < $1.key }.map(\.value.session) }

    mutating func removeValue(forKey id: SessionID) -> StagerSession? { boxes.removeValue(forKey: id)?.session }
}
