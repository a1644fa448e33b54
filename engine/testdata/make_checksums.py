# Makes checksums.parquet: pages with checksums, which the Rust writer leaves out. python make_checksums.py (numpy, pyarrow)
import numpy as np, pyarrow as pa, pyarrow.parquet as pq
t=np.arange(64)*0.5
pq.write_table(pa.table({'t':t,'y':t+1}),'checksums.parquet',compression='none',use_dictionary=False,write_page_checksum=True,store_schema=False)
