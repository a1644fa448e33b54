# Makes odd.h5: numbers of sizes that HDF5 has and few other formats have. python make_odd.py (numpy, h5py)
import numpy as np, h5py
v=(np.arange(10)*0.5).astype('f2')
rec=np.zeros(10,np.dtype([('t','<f8'),('h','<f2')])); rec['h']=v
with h5py.File('odd.h5','w',libver='earliest') as f:
    f['big']=np.stack([2*v,2*v+np.float16(0.5)],axis=1).astype('>f2'); f['halves']=rec; f['long']=np.arange(10).astype('g')
    f.create_dataset('packed',data=v,compression='gzip',chunks=(4,))
