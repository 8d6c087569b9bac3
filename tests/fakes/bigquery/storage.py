"""The Storage Read API of the fake BigQuery: a gRPC server on loopback that gives the rows of its jobs as Arrow.

with storage(fake) as client: ...     # Google's own BigQueryReadClient, connected to it
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pyarrow as pa
from google.cloud.bigquery_storage import BigQueryReadClient
from google.cloud.bigquery_storage_v1 import types
from google.cloud.bigquery_storage_v1.services.big_query_read.transports import BigQueryReadGrpcTransport

from tests.fakes.bigquery import BigQuery

SERVICE = "google.cloud.bigquery.storage.v1.BigQueryRead"
BATCH = 3


class Storage:
    """A session has two streams, so the order of the rows is undefined. If `refused` is set, every request fails with it."""

    def __init__(self, fake: BigQuery, refused: str | None) -> None:
        self.fake = fake
        self.refused = refused

    def table(self, name: str) -> pa.Table:
        """The result of a job, by projects/P/datasets/_results/tables/JOB."""
        job = self.fake.job(name.split("/")[5])
        names = [column["name"] for column in job.schema]
        return pa.Table.from_pylist([dict(zip(names, row, strict=True)) for row in job.rows])

    def create_read_session(self, request: Any, context: grpc.ServicerContext) -> Any:
        if self.refused:
            context.abort(grpc.StatusCode.PERMISSION_DENIED, self.refused)
        name = request.read_session.table
        schema = types.ArrowSchema(serialized_schema=self.table(name).schema.serialize().to_pybytes())
        streams = [types.ReadStream(name=f"{name}/streams/{number}") for number in range(2)]
        return types.ReadSession(
            name=f"{name}/session", table=name, streams=streams, arrow_schema=schema, data_format=2
        )

    def read_rows(self, request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        name, _, number = request.read_stream.partition("/streams/")
        for index, batch in enumerate(self.table(name).to_batches(max_chunksize=BATCH)):
            if index % 2 == int(number) and index // 2 * BATCH >= request.offset:
                data = types.ArrowRecordBatch(serialized_record_batch=batch.serialize().to_pybytes())
                yield types.ReadRowsResponse(row_count=batch.num_rows, arrow_record_batch=data)


@contextlib.contextmanager
def storage(fake: BigQuery, refused: str | None = None) -> Iterator[BigQueryReadClient]:
    there = Storage(fake, refused)
    handlers = {
        "CreateReadSession": grpc.unary_unary_rpc_method_handler(
            there.create_read_session,
            types.CreateReadSessionRequest.deserialize,
            types.ReadSession.serialize,
        ),
        "ReadRows": grpc.unary_stream_rpc_method_handler(
            there.read_rows, types.ReadRowsRequest.deserialize, types.ReadRowsResponse.serialize
        ),
    }
    server = grpc.server(ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    channel = grpc.insecure_channel(f"127.0.0.1:{port}")
    try:
        yield BigQueryReadClient(transport=BigQueryReadGrpcTransport(channel=channel))
    finally:
        channel.close()
        server.stop(None).wait()
