"""Refusals of the exchange. None of them ever carries a value of a record, only places and names of items."""

from infra.errors import Kind, SijiError


class CatalogueInvalid(SijiError):
    """A catalogue entry, or its items, breaks a rule."""

    code = "catalogue_invalid"
    zh = "目录“{dataset}”不符合要求：{why_zh}。"
    en = "The catalogue entry “{dataset}” is not acceptable: {why_en}."


class DatasetExists(SijiError):
    """Another dataset has that code."""

    kind = Kind.conflict
    code = "dataset_exists"
    zh = "数据集代码“{dataset}”已被使用，请换一个代码。"
    en = "The dataset code “{dataset}” is taken; choose another."


class DatasetEnded(SijiError):
    """The dataset ended with the bureau that provided it; only its history can be read."""

    kind = Kind.conflict
    code = "dataset_ended"
    zh = "数据集“{dataset}”已随提供部门撤销于 {ended_on} 停用，不能再修改、发布或申请，仅可查阅历史。"
    en = (
        "The dataset “{dataset}” ended on {ended_on} with the bureau that provided it: it is not changed, "
        "published to or asked for any more; its history can be read."
    )


class Incompatible(SijiError):
    """New items break the dataset's level of compatibility, and were neither announced nor forced."""

    kind = Kind.conflict
    code = "schema_incompatible"
    zh = (
        "数据集“{dataset}”的新版信息项与既有版本（现为第 {version} 版）不符合其兼容性级别 {level}：{why_zh}。"
        "{hit_zh}。请至少提前 {notice_days} 天预告生效日期，或注明理由强制生效。"
    )
    en = (
        "The new items of dataset “{dataset}” do not go with what was before (version {version} by now) at "
        "its level of compatibility, {level}: {why_en}; {hit_en}. Announce them at least {notice_days} days "
        "ahead, or force them and say why."
    )


class VersionAnnounced(SijiError):
    """Another version waits for its day."""

    kind = Kind.conflict
    code = "version_announced"
    zh = "数据集“{dataset}”的第 {version} 版已预告，自 {from_on} 起生效；请先撤回预告再提交新版。"
    en = (
        "Version {version} of dataset “{dataset}” is announced and holds from {from_on} on; take it back "
        "before you give another."
    )


class NothingAnnounced(SijiError):
    """No version waits for its day."""

    kind = Kind.conflict
    code = "nothing_announced"
    zh = "数据集“{dataset}”没有已预告而未生效的版本。"
    en = "No version of dataset “{dataset}” is announced."


class NoticeTooShort(SijiError):
    """A version is to hold too soon."""

    code = "notice_too_short"
    zh = "数据集“{dataset}”的新版不能自 {from_on} 起生效，最早为 {earliest_on}。"
    en = "The new version of “{dataset}” cannot hold from {from_on} on; the first day is {earliest_on}."


class NotShared(SijiError):
    """The dataset is catalogued as not shared."""

    kind = Kind.forbidden
    code = "not_shared"
    zh = "数据集“{dataset}”属于不予共享类，依据：{basis}。"
    en = "The dataset “{dataset}” is not shared with anyone, on this basis: {basis}."


class SubscriptionInvalid(SijiError):
    """What a subscription asks for cannot be given as asked."""

    code = "subscription_invalid"
    zh = "对数据集“{dataset}”的共享申请不符合要求：{why_zh}。"
    en = "The subscription to dataset “{dataset}” is not acceptable: {why_en}."


class SubscriptionExists(SijiError):
    """The system has a live subscription to the dataset already."""

    kind = Kind.conflict
    code = "subscription_exists"
    zh = "该系统对数据集“{dataset}”已有共享申请（编号 {subscription}）。"
    en = "The system already has subscription {subscription} to dataset “{dataset}”."


class SubscriptionState(SijiError):
    """The act does not fit the state the subscription is in."""

    kind = Kind.conflict
    code = "subscription_state"
    zh = "共享申请 {subscription} 当前为“{state_zh}”，不能执行该操作。"
    en = "Subscription {subscription} is {state}, so this cannot be done to it."


class NotEntitled(SijiError):
    """The subscription gives nothing now: expired, revoked, paused, not granted, or another system's."""

    kind = Kind.forbidden
    code = "not_entitled"
    zh = "共享申请 {subscription} 不能取数：{why_zh}。"
    en = "Subscription {subscription} cannot be pulled: {why_en}."


class CursorInvalid(SijiError):
    """A cursor that this subscription was never given."""

    code = "cursor_invalid"
    zh = "共享申请 {subscription} 的游标无效：它不是由本申请的取数结果给出的，请从上一次取得的游标继续。"
    en = "The cursor is not one that subscription {subscription} was given; go on from the last one received."


class PlaceBeyondLog(SijiError):
    """A subscriber stands where the log has not come to: it was put there, or the log lost its end."""

    kind = Kind.conflict
    code = "place_beyond_log"
    zh = (
        "读取位置超出数据集“{dataset}”的日志末尾：分区 {partition} 应从 {offset} 继续，而日志只到 {end}；"
        "请回退到某一时间后重新读取。"
    )
    en = (
        "The place to go on from lies beyond the log of dataset “{dataset}”: partition {partition} at "
        "{offset}, where the log ends at {end}; rewind to a time and read again."
    )


class RewindInvalid(SijiError):
    """A place that a subscriber cannot be put back to."""

    code = "rewind_invalid"
    zh = "共享申请 {subscription} 不能这样回退：{why_zh}。"
    en = "Subscription {subscription} cannot be rewound so: {why_en}."


class TopicState(SijiError):
    """The subscription's topic is not as the act needs it."""

    kind = Kind.conflict
    code = "topic_state"
    zh = "共享申请 {subscription} 的专用主题不能这样操作：{why_zh}。"
    en = "That cannot be done with the topic of subscription {subscription}: {why_en}."


class NotProvider(SijiError):
    """A system publishes to a dataset of another bureau."""

    kind = Kind.forbidden
    code = "not_provider"
    zh = "系统“{system}”不属于数据集“{dataset}”的提供部门，不能向其发布数据。"
    en = "The system “{system}” is not one of the provider of dataset “{dataset}” and cannot publish to it."


class KeyReused(SijiError):
    """An idempotency key came again with other records."""

    kind = Kind.conflict
    code = "idempotency_key_reused"
    zh = (
        "幂等键“{key}”已用于数据集“{dataset}”的另一批数据（回执 {batch}），内容不同；"
        "请为新数据使用新的幂等键。"
    )
    en = (
        "The idempotency key “{key}” was used for another batch of dataset “{dataset}” (receipt {batch}) "
        "with different records; give new records a new key."
    )


class BatchInProgress(SijiError):
    """Another process is storing the same batch at this moment."""

    kind = Kind.conflict
    code = "batch_in_progress"
    zh = "幂等键“{key}”的同一批数据正由另一进程写入数据集“{dataset}”，请稍后原样重发以取得回执。"
    en = (
        "The same batch, key “{key}”, is being stored in dataset “{dataset}” by another process; "
        "send it again unchanged in a moment to get its receipt."
    )


class IdsInProgress(SijiError):
    """Records of the batch are being stored in another one at this moment."""

    kind = Kind.conflict
    code = "ids_in_progress"
    zh = "该批数据中的部分记录正随另一批（回执 {batch}）写入数据集“{dataset}”，请稍后原样重发。"
    en = (
        "Records of the batch are being stored in dataset “{dataset}” by another one, receipt {batch}; "
        "send it again unchanged in a moment."
    )


class BatchRefused(SijiError):
    """A batch that cannot be taken as a whole."""

    code = "batch_refused"
    zh = "数据集“{dataset}”未接收该批数据：{why_zh}。"
    en = "Dataset “{dataset}” did not take the batch: {why_en}."


class CorrectionInvalid(SijiError):
    """What was sent to correct quarantined records is not of them."""

    code = "correction_invalid"
    zh = "对回执 {batch} 问题数据的处理不符合要求：{why_zh}。"
    en = "This cannot be done to the bad records of receipt {batch}: {why_en}."


class CorrectionSettled(SijiError):
    """A quarantined record is redriven with other content, or discarded, already."""

    kind = Kind.conflict
    code = "correction_settled"
    zh = "回执 {batch} 位置 {place} 的问题数据已处理：{how_zh}；请刷新后只更正仍待处理的记录。"
    en = (
        "The bad record at place {place} of receipt {batch} is settled already: {how_en}; reload, and "
        "correct those that still wait."
    )


class NewerRecords(SijiError):
    """A redrive would overwrite what was published since."""

    kind = Kind.conflict
    code = "newer_records"
    zh = (
        "回执 {batch} 中位置 {places} 的记录，其主键在之后的发布中已有数据（回执 {receipts}），"
        "更正后入库会将其覆盖；请核对后放弃这些记录，或写明理由强制入库。"
    )
    en = (
        "The keys of the records at places {places} of receipt {batch} were published since (receipts "
        "{receipts}), and storing the corrections would overwrite that. Discard them, or force it and say "
        "why."
    )


class NotRedrivable(SijiError):
    """The quarantined records of a batch cannot be published by themselves."""

    kind = Kind.conflict
    code = "not_redrivable"
    zh = "回执 {batch} 的问题数据不能单独更正入库：{why_zh}；请修正后重新发布整批，并将其放弃。"
    en = (
        "The bad records of receipt {batch} cannot be redriven: {why_en}; publish a whole new batch, and "
        "discard them."
    )


class BatchTooLarge(SijiError):
    """More records than one batch may have."""

    kind = Kind.too_large
    code = "batch_too_large"
    zh = "该批数据的记录超过单批上限 {limit} 条，请分批发布。"
    en = "The batch has more records than the {limit} that one batch may have; publish it in parts."


class SubscriptionsHeld(SijiError):
    """A system that goes to another bureau while data is released to it."""

    kind = Kind.conflict
    code = "subscriptions_held"
    zh = "信息系统“{system}”仍有有效的共享申请（{subscriptions}），不能移交；请先撤销，由接收部门重新申请"
    en = (
        "The system “{system}” still holds live subscriptions ({subscriptions}) and cannot be handed over: "
        "revoke them first, and let the receiving bureau ask anew"
    )


class AnswersOwed(SijiError):
    """A provider that is merged while subscriptions to its datasets wait for its answer."""

    kind = Kind.conflict
    code = "answers_owed"
    zh = "该单位提供的数据集仍有待答复的共享申请（{subscriptions}），不能并入其他单位；请先答复"
    en = (
        "Subscriptions to the unit's datasets wait for its answer ({subscriptions}), so it cannot be merged: "
        "answer them first"
    )


class Unreadable(SijiError):
    """What was sent is not what can be read in one way only; nothing of it is stored."""

    code = "batch_unreadable"
    zh = "第 {place} 条无法读取：{why_zh}；整批未接收"
    en = "Record {place} cannot be read: {why_en}; nothing of the batch was taken"


class UnknownForm(SijiError):
    """A batch in a form that is not read here."""

    code = "batch_form_unknown"
    zh = "不支持的内容类型“{given}”，可用：{known}"
    en = "Batches of type “{given}” are not read here; there are: {known}"


class RowUnreadable(SijiError):
    """A row of a table that cannot be read in one way only; nothing of the table is stored."""

    code = "batch_unreadable"
    zh = "第 {row} 行无法读取：{why_zh}；整批未接收"
    en = "Row {row} cannot be read: {why_en}; nothing of the batch was taken"


class BadColumns(SijiError):
    """A table whose columns are not those of the dataset."""

    code = "batch_columns"
    zh = "表格的列不符合要求：{why_zh}；整批未接收"
    en = "The columns of the table are not right: {why_en}; nothing of the batch was taken"


class SheetUnreadable(SijiError):
    """A spreadsheet that cannot be read, or not in one way only."""

    code = "batch_unreadable"
    zh = "无法读取电子表格：{why_zh}；整批未接收"
    en = "The spreadsheet cannot be read: {why_en}; nothing of the batch was taken"


class SheetTooLarge(SijiError):
    """A spreadsheet that is small as it was sent and large when it is opened."""

    kind = Kind.too_large
    code = "unpacked_too_large"
    zh = "电子表格展开后过大：上限 {limit} {unit_zh}，实有 {came} 以上；请分批发布"
    en = (
        "The spreadsheet is too large when opened: the limit is {limit} {unit_en}, "
        "there are at least {came}; publish it in parts"
    )


class EncodingUnclear(SijiError):
    """Text that may be of two encodings. No part of it is shown, as it is somebody's data."""

    code = "encoding_undecided"
    zh = "无法判断内容的编码：从第 {offset} 字节（自 0 起）起按 UTF-8 与 GB18030 都能读通；请指明编码"
    en = "The encoding cannot be told: from offset {offset} (from 0) it reads as UTF-8 and GB18030; name one"


class WebhookInvalid(SijiError):
    """A webhook that cannot be set so."""

    code = "webhook_invalid"
    zh = "共享申请 {subscription} 的推送设置不符合要求：{why_zh}"
    en = "The webhook of subscription {subscription} is not acceptable: {why_en}"


class WebhookState(SijiError):
    """What cannot be done to a webhook as it is."""

    kind = Kind.conflict
    code = "webhook_state"
    zh = "共享申请 {subscription} 的推送不能这样处理：{why_zh}"
    en = "This cannot be done to the webhook of subscription {subscription}: {why_en}"


class ExportChanged(SijiError):
    """What a subscription shows has changed while its file was made or handed out."""

    kind = Kind.conflict
    code = "export_changed"
    zh = "共享申请 {subscription} 的提供范围在导出过程中发生变化，请重新导出"
    en = "What subscription {subscription} shows has changed while it was exported; export it again"


class ExportTooLarge(SijiError):
    """More rows than a file of that form has."""

    kind = Kind.too_large
    code = "export_too_large"
    zh = (
        "共享申请 {subscription} 共有 {count} 条记录，超过 XLSX 的上限 {limit} 条，"
        "请改用 CSV、NDJSON 或 Parquet"
    )
    en = (
        "Subscription {subscription} has {count} records, more than the {limit} rows of an XLSX file; "
        "take CSV, NDJSON or Parquet"
    )


class ExportUnfit(SijiError):
    """A value that a file of that form cannot hold as it is."""

    code = "export_unfit"
    zh = "共享申请 {subscription} 的信息项“{item}”有该格式无法原样保存的值，请改用 NDJSON 或 CSV"
    en = (
        "Item “{item}” of subscription {subscription} has a value that a file of this form cannot hold as "
        "it is; take NDJSON or CSV"
    )


class ProofNotYet(SijiError):
    """A receipt that the message log does not have yet."""

    kind = Kind.conflict
    code = "proof_not_yet"
    zh = "回执 {receipt} 尚未封存，请一分钟后再下载存证"
    en = "Receipt {receipt} is not sealed yet; ask for its proof again in a minute"


class ProofBroken(SijiError):
    """A proof of the message log does not hold."""

    code = "proof_broken"
    zh = "存证不成立，第 {line} 行：{why_zh}"
    en = "The proof does not hold, line {line}: {why_en}"


class RecallInvalid(SijiError):
    """A recall, or an answer to one, that cannot be taken."""

    code = "recall_invalid"
    zh = "数据集“{dataset}”的撤回不符合要求：{why_zh}"
    en = "The recall of records of “{dataset}” is not acceptable: {why_en}"


class RecallAnswered(SijiError):
    """A receiver has said already that it deleted the records."""

    kind = Kind.conflict
    code = "recall_answered"
    zh = "共享申请 {subscription} 已确认删除撤回 {recall} 的数据，不能再改为未删除"
    en = "Under subscription {subscription} the records of recall {recall} were confirmed deleted already"
